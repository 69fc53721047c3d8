// Package writer is the stage that carries results and ranked lists into the
// store.
//
// It promises to store everything it reads before it remembers how far it read,
// and to skip nothing: while the store is away it waits, and a record that it
// cannot read, or that no store can hold, is put aside by name. The marks behind such a
// record are stored all the same. A crash or a second writer on the same partition only
// repeats work, because the store keeps the greatest version whatever comes twice.
//
// storage/carry says how it goes on after a crash and what it does while the store is
// away; here is what the rows are. Start reading at [Writer.Results].
package writer

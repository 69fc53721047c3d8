// Package dimension keeps the filters that clicks are counted by: it says them to all
// mappers, tells operators which hold since when, and fills the store's filter table.
//
// Which filters there are is a fact in the control topic; see internal/control and
// decision 24. What this package says takes effect at a minute that no mapper has come
// to yet, and saying it again changes nothing. Start reading at [Apply]; [Follow] is
// what processes do meanwhile.
package dimension

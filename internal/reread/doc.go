// Package reread keeps what was read from files, and reads it anew when they change,
// so that a renewed certificate or a withdrawn token needs no restart.
//
// It promises that asking is cheap, that a change is seen within a second of it, and
// that what cannot be read never replaces what could: the last good value stays, and
// each new fault is reported once. Start reading at [Value.Get].
package reread

// Package audit proves, or disproves, what is billed for a range of windows, from
// what is stored alone: that the counts of every window add up to what was published
// with it, that every record of every source partition has one verdict, and that
// between two windows that were signed off no offset is missing or was counted twice.
//
// It is pure: a [Fold] takes windows in the order of time, needs memory for the
// sources only, and ends in a [Report]. Start reading there.
package audit

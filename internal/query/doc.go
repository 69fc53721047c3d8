// Package query is what the commands query count, query top, query lineage, export
// counts and status do: they ask the API and print its answer, once or again and again.
//
// It promises that a table fits the width it is given, that no control character
// of someone's ad id reaches a terminal, and that an export's file appears only
// when it is whole. Everything goes to the writers that are passed in.
// Start reading at [Top]; [Count], [Lineage], [Export], [Status] and [Watch] stand in files of their own.
package query

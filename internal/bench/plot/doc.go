// Package plot draws measured curves as small SVG files: panels one below the
// other over a common axis of points at equal distances, each with lines, and with
// the range of the runs behind every point.
//
// It promises that the same figure gives the same bytes, and a picture that can be
// read on a light and on a dark page: its colours follow the reader's scheme.
//
// Start reading at [Figure].
package plot

// Package s3 keeps blobs in object storage that speaks the S3 protocol: AWS, or
// anything compatible with it.
//
// It promises what [blob.Store] promises. A blob is one object, put by one
// request, so that it appears whole or not at all and nothing half done is left
// behind. What was sent is checked by the storage, and what was received by us,
// against a CRC-32C. A request that fails is repeated with growing pauses, a few
// seconds in all; a connection that is silent for a minute is given up. An error
// names the place and says what to do.
//
// A request that was given up may still take effect later. That is harmless as
// long as a name always stands for the same bytes, which holds for snapshots.
//
// Start reading at [Open].
package s3

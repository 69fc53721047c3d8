// Package secure makes TLS configurations of PEM files, and says what is wrong with them.
//
// It promises that a configuration which was made will do for a connection: the
// files could be read, they are PEM, the key fits the certificate and nothing has
// expired. TLS 1.2 is the least, and the server must prove its name. Start reading
// at [ClientTLS], for the other side at [ServerTLS].
package secure

// Package edge ends TLS for visitors, and answers HTTP/1.1, HTTP/2 and HTTP/3
// from a site's upstream or from a folder of files.
//
// What a caller may rely on: certificates, ticket seeds, sites and challenges
// are complete values, swapped whole while requests are answered; a handshake
// or a request sees the old or the new, and none fails for a swap. What is
// wrong in itself is refused by item, and leaves what was served under its name.
// A server name without certificate is refused in the handshake. A request is
// answered once, or refused and its connection closed; it is never answered
// twice, and never forwarded where its end is in doubt. Every wait has a
// time-out, every buffer and queue a bound.
//
// What is not promised: that an upstream sees a request only once, where its
// method is idempotent and it closed the connection without an answer.
//
// The parts: http1 reads and writes HTTP/1.1, upstream keeps connections to
// sites, static serves folders, compress encodes, ticket derives keys.
package edge

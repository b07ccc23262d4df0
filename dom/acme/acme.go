// Package acme keeps a valid certificate for every wish: from a certificate
// authority by ACME (RFC 8555) with DNS-01 answered by our own nameservers, or
// from a local authority.
//
// What a caller may rely on:
//
//   - Values change whole: Set takes all wishes and settings at once. Nothing
//     here knows where a challenge is published or who serves a certificate;
//     both are small interfaces that the caller gives.
//   - A process that is killed at any moment goes on where it was. The account
//     key, a certificate's key and request are on disk before the authority
//     hears of them, an order's URL right after it exists, and the certificate
//     before the order is forgotten. So a wish never has two certificates on
//     the way, and a key that was used is never lost.
//   - One certificate is worked on by one goroutine at a time, others in
//     parallel. Every method may be called from any goroutine.
//   - The authority is told to look only once every nameserver of the zone that
//     answers at all answers the right value (see ready.go).
//   - Private keys are on disk with mode 0600, in folders with 0700, and never in an
//     error, a log line, a plan or a status.
//
// Not promised: that a certificate is served. Publish hands it on; the one who
// serves confirms by other means.
package acme

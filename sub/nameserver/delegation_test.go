package nameserver

import (
	"testing"

	"b8s/sub/zone"
)

const delegations = `
sub 300 NS ns.sub
sub 300 NS ns.other
sub 300 NS ns.elsewhere.org.
sub 300 DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub 300 A 192.0.2.1
ns.sub 300 AAAA 2001:db8::1
other 300 NS ns.other
ns.other 300 A 192.0.2.2
hidden.deep.sub 300 TXT "occluded"
*.sub 300 A 192.0.2.66
to 300 CNAME www.sub
plain 300 NS ns1
`

const referral = `NS sub.example.com. 300 NS ns.elsewhere.org.
NS sub.example.com. 300 NS ns.other.example.com.
NS sub.example.com. 300 NS ns.sub.example.com.
AR ns.other.example.com. 300 A 192.0.2.2
AR ns.sub.example.com. 300 A 192.0.2.1
AR ns.sub.example.com. 300 AAAA 2001:db8::1
`

func TestDelegation(t *testing.T) {
	s := serveText(t, delegations)
	check(t, s, []question{
		{"sub.example.com A", "NOERROR\n" + referral},
		{"sub.example.com NS", "NOERROR\n" + referral},
		{"sub.example.com ANY", "NOERROR\n" + referral},
		{"www.sub.example.com A", "NOERROR\n" + referral},
		{"ns.sub.example.com A", "NOERROR\n" + referral},
		{"deep.sub.example.com TXT", "NOERROR\n" + referral},
		{"hidden.deep.sub.example.com TXT", "NOERROR\n" + referral},
		{"x.hidden.deep.sub.example.com DS", "NOERROR\n" + referral},
		{"to.example.com A", "NOERROR aa\nAN to.example.com. 300 CNAME www.sub.example.com.\n" + referral},
		{"plain.example.com A", "NOERROR\nNS plain.example.com. 300 NS ns1.example.com.\nAR ns1.example.com. 300 A 192.0.2.53\n"},
	})
}

// DS stands on the parent's side of the cut.
func TestDelegationDS(t *testing.T) {
	s := serveText(t, delegations)
	check(t, s, []question{
		{"sub.example.com DS", "NOERROR aa\nAN sub.example.com. 300 DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000\n"},
		{"other.example.com DS", "NOERROR aa\n" + negative},
		{"example.com DS", "NOERROR aa\n" + negative},
	})
}

// With parent and child both ours, the child answers, but for its DS.
func TestDelegationToOurselves(t *testing.T) {
	parent := compile(t, "example.com.", soa+delegations)
	child := compile(t, "sub.example.com.", soa+"www 300 A 192.0.2.80\n")
	s := serve(t, &View{Zones: zone.NewSet(parent, child)})
	check(t, s, []question{
		{"www.sub.example.com A", "NOERROR aa\nAN www.sub.example.com. 300 A 192.0.2.80\n"},
		{"sub.example.com NS", "NOERROR aa\nAN sub.example.com. 300 NS ns1.sub.example.com.\n"},
		{"sub.example.com DS", "NOERROR aa\nAN sub.example.com. 300 DS 12345 13 2 0000000000000000000000000000000000000000000000000000000000000000\n"},
		{"to.example.com A", "NOERROR aa\nAN to.example.com. 300 CNAME www.sub.example.com.\nAN www.sub.example.com. 300 A 192.0.2.80\n"},
	})
}

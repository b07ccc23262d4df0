package acme

import (
	"strings"
	"testing"

	"b8s/probe"
)

func TestCAAPermits(t *testing.T) {
	issue := func(v string) probe.CAA { return probe.CAA{Tag: "issue", Value: v} }
	wild := func(v string) probe.CAA { return probe.CAA{Tag: "issuewild", Value: v} }
	tests := []struct {
		name     string
		records  []probe.CAA
		wildcard bool
		want     bool
	}{
		{"no record", nil, false, true},
		{"named", []probe.CAA{issue("ca.test")}, false, true},
		{"named in another case, with blanks", []probe.CAA{issue("  CA.Test ; ")}, false, true},
		{"another", []probe.CAA{issue("other.test")}, false, false},
		{"one of several", []probe.CAA{issue("other.test"), issue("ca.test")}, false, true},
		{"nobody", []probe.CAA{issue(";")}, false, false},
		{"iodef alone", []probe.CAA{{Tag: "iodef", Value: "mailto:a@b.test"}}, false, true},
		{"issue covers wildcards", []probe.CAA{issue("ca.test")}, true, true},
		{"issuewild goes before issue", []probe.CAA{issue("ca.test"), wild(";")}, true, false},
		{"issuewild is for wildcards alone", []probe.CAA{issue("ca.test"), wild(";")}, false, true},
		{"issuewild alone leaves others free", []probe.CAA{wild("other.test")}, false, true},
		{"unknown critical", []probe.CAA{issue("ca.test"), {Tag: "future", Critical: true}}, false, false},
		{"unknown, not critical", []probe.CAA{issue("ca.test"), {Tag: "future"}}, false, true},
		{"method dns-01", []probe.CAA{issue("ca.test; validationmethods=http-01,dns-01")}, false, true},
		{"another method", []probe.CAA{issue("ca.test; validationmethods=http-01")}, false, false},
		{"our account", []probe.CAA{issue("ca.test; accounturi=https://ca.test/acct/1")}, false, true},
		{"another account", []probe.CAA{issue("ca.test; accounturi=https://ca.test/acct/2")}, false, false},
		{"broken", []probe.CAA{issue("ca.test; %%%")}, false, false},
	}
	for _, tt := range tests {
		why := permits(tt.records, []string{"ca.test", "ca2.test"}, tt.wildcard, "https://ca.test/acct/1")
		if (why == "") != tt.want {
			t.Errorf("%s: got %q, want permitted %v", tt.name, why, tt.want)
		}
	}
}

func FuzzParseIssue(f *testing.F) {
	for _, s := range []string{"ca.test", ";", "", "ca.test; a=b; c=d", "ca.test;validationmethods=dns-01,http-01", "*.test", "a;=;", "x; a=b;a=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		domain, parameters, ok := parseIssue(value)
		if !ok && (domain != "" || parameters != nil) {
			t.Errorf("%q: refused, and yet %q %v", value, domain, parameters)
		}
		if strings.ContainsAny(domain, " \t;*=") || domain != strings.ToLower(domain) {
			t.Errorf("%q: domain %q", value, domain)
		}
		if ok && grants(value, []string{""}, "") && domain != "" {
			t.Errorf("%q: granted to nobody", value)
		}
	})
}

package acme

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"b8s/probe"
)

// said is what one server answers by its two ways: "v" the value, "o" another
// one, "f" the value without authority, "-" nothing.
type said struct{ public, overlay string }

// scripted is a DNS that answers TXT from a script.
type scripted struct {
	DNS
	say map[netip.AddrPort]said
}

func (s scripted) TXT(_ context.Context, server Server, way Way, _ string) (probe.TXT, error) {
	word := s.say[server.Addr].public
	if way == Overlay {
		word = s.say[server.Addr].overlay
	}
	switch word {
	case "v":
		return probe.TXT{Values: []string{"old", "v"}, Authoritative: true}, nil
	case "o":
		return probe.TXT{Values: []string{"old"}, Authoritative: true}, nil
	case "f":
		return probe.TXT{Values: []string{"v"}}, nil
	}
	return probe.TXT{}, errors.New("no answer")
}

func TestReadiness(t *testing.T) {
	tests := []struct {
		name    string
		servers []said // overlay "" = not a sub
		ready   bool   // at once
		late    bool   // once the silent ones have been silent for long enough
		note    string // part of what the operator is told
	}{
		{"all good", []said{{"v", ""}, {"v", "v"}}, true, true, ""},
		{"a secondary is dead", []said{{"v", ""}, {"-", ""}}, false, true, "left out"},
		{"a secondary lags", []said{{"v", ""}, {"o", ""}}, false, false, ""},
		{"a sub is dead", []said{{"v", "v"}, {"-", "-"}}, false, true, "left out"},
		{"a sub is deaf: its tunnel is cut, and it still answers", []said{{"v", "v"}, {"o", "-"}}, false, false, ""},
		{"another process on the sub's port", []said{{"v", "v"}, {"o", "v"}}, false, false, ""},
		{"a sub answers two things", []said{{"v", "o"}}, false, false, ""},
		{"port 53 is blocked here", []said{{"-", "v"}, {"-", "v"}}, true, true, "can't be reached from here"},
		{"port 53 is hijacked here", []said{{"f", "v"}}, true, true, "hijacked"},
		{"port 53 is hijacked, and there is no tunnel to a secondary", []said{{"f", "v"}, {"f", ""}}, false, true, "left out"},
		{"only a hijacked view", []said{{"f", ""}}, false, false, ""},
		{"the tunnel is cut, and port 53 is good", []said{{"v", "-"}}, true, true, ""},
		{"nobody answers", []said{{"-", ""}, {"-", "-"}}, false, false, ""},
		{"no nameserver", nil, false, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dns := scripted{say: make(map[netip.AddrPort]said)}
			var servers []Server
			for i, s := range tt.servers {
				addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 53)
				dns.say[addr] = s
				servers = append(servers, Server{Host: "ns.example.test.", Addr: addr, Overlay: s.overlay != ""})
			}
			w := newWatch("example.test.", "_acme-challenge.example.test.", []string{"v"}, servers)
			w.ask(t.Context(), dns)
			if open := w.open(0); (len(open) == 0) != tt.ready {
				t.Errorf("at once: open %q, want ready %v", open, tt.ready)
			}
			if open := w.open(silentAfter); (len(open) == 0) != tt.late {
				t.Errorf("later: open %q, want ready %v", open, tt.late)
			}
			var notes string
			for _, s := range w.servers {
				notes += s.note()
			}
			if !tt.late {
				return
			}
			if !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("note %q, want one with %q", notes, tt.note)
			}
		})
	}
}

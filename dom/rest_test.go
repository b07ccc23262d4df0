package dom

import "testing"

func TestRestIsDueOnceItIsQuietAfterHeavyWork(t *testing.T) {
	var r rest
	for i, look := range []struct {
		allocated uint64 // MiB since the look before
		want      bool
	}{
		{30, false}, {1, false}, {1, false}, // quiet, but not worth it
		{90, false}, {80, false}, {1, false}, {1, true},
		{1, false}, {1, false}, // rested
		{16, false}, {16, false}, {16, false}, {16, true}, // a steady trickle
	} {
		if got := r.due(r.last + look.allocated<<20); got != look.want {
			t.Errorf("look %d, %d MiB more: due %v, want %v", i, look.allocated, got, look.want)
		}
	}
}

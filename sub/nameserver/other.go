//go:build !linux

package nameserver

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

const batches = false

func bindBatched(*Server, netip.AddrPort) ([]udpSocket, error) { return nil, errors.ErrUnsupported }

// holder names who holds a port, which this system doesn't tell.
func holder(string, netip.AddrPort) string { return "another process" }

// watchHost calls changed when the host's addresses may have changed, until ctx
// ends.
func watchHost(ctx context.Context, _ *slog.Logger, changed func()) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			changed()
		}
	}
}

package nameserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// retry is how often addresses are looked at without word from the kernel: one
// that was taken may have become free.
const retry = 30 * time.Second

// watchHost calls changed when the host's addresses may have changed, until ctx
// ends.
func watchHost(ctx context.Context, log *slog.Logger, changed func()) error {
	f, err := openNetlink()
	if err != nil {
		return fmt.Errorf("watch the host's addresses: %w", err)
	}
	news := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		readNetlink(f, log, news)
	}()
	defer func() {
		f.Close()
		<-done
	}()
	changed() // what changed since the addresses were first read
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-tick.C:
		}
		changed()
	}
}

// openNetlink subscribes to changes of addresses.
func openNetlink() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	groups := uint32(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// readNetlink tells of each message; which address it is about doesn't matter,
// as all are read again. Messages lost for lack of room tell the same.
func readNetlink(f *os.File, log *slog.Logger, news chan<- struct{}) {
	buf := make([]byte, 64<<10)
	for {
		_, err := f.Read(buf)
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil && !errors.Is(err, unix.ENOBUFS):
			log.Warn("watch the host's addresses", "err", err, "next", "addresses are read every 30 s")
			return
		}
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

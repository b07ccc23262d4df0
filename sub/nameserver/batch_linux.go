package nameserver

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batches   = true
	batchSize = 32
	busyCalls = 16 // that the scheduler isn't told of
	// wake bounds how long a closed socket's thread stays blocked, should the
	// shutdown not wake it.
	wake        = 250 * time.Millisecond
	socketQueue = 4 << 20 // octets of queries that may wait
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
}

// batch is a UDP socket with the thread that serves it. The kernel reads and
// writes its arrays, which are allocated once and stay where they are.
type batch struct {
	server   *Server
	fd       int
	closing  atomic.Bool
	busy     int // of busyCalls, those left
	counters *counters
	answerer answerer

	in, out       [batchSize]mmsghdr
	inIov, outIov [batchSize]unix.Iovec
	from          [batchSize]unix.RawSockaddrInet6 // large enough for both families
	buf           [batchSize][bufferSize]byte
}

func bindBatched(s *Server, addr netip.AddrPort) ([]udpSocket, error) {
	var sockets []udpSocket
	for range s.opts.Threads {
		fd, err := bindShared(addr)
		if err != nil {
			for _, u := range sockets {
				unix.Close(u.(*batch).fd)
			}
			return nil, err
		}
		b := &batch{server: s, fd: fd, counters: s.newCounters()}
		b.prepare()
		sockets = append(sockets, b)
	}
	return sockets, nil
}

// bindShared makes a blocking socket that shares its port with its like.
func bindShared(addr netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err = configure(fd, addr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func configure(fd int, addr netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fmt.Errorf("share the port: %w", err)
	}
	tv := unix.NsecToTimeval(int64(wake))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("set the time-out: %w", err)
	}
	// More room than the system allows by default; without the right to it
	// what is allowed will do.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketQueue) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, socketQueue)
	}
	// A forged "fragmentation needed" must not make us send fragments.
	if addr.Addr().Is4() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return fmt.Errorf("set IPv6 only: %w", err)
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()})
}

// prepare points the message headers at their buffers.
func (b *batch) prepare() {
	for i := range b.in {
		b.inIov[i].Base = &b.buf[i][0]
		b.inIov[i].SetLen(bufferSize)
		h := &b.in[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&b.from[i]))
		h.Namelen = unix.SizeofSockaddrInet6
		h.Iov = &b.inIov[i]
		h.SetIovlen(1)
		o := &b.out[i].hdr
		o.Iov = &b.outIov[i]
		o.SetIovlen(1)
	}
}

// close makes run return soon. The descriptor stays open until then, so that
// its number can't belong to another file.
func (b *batch) close() {
	b.closing.Store(true)
	_ = unix.Shutdown(b.fd, unix.SHUT_RD) // wakes the thread, though it says "not connected"
}

func (b *batch) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer unix.Close(b.fd)
	for !b.closing.Load() {
		n := b.receive()
		if n == 0 {
			continue
		}
		b.send(b.answer(n))
		b.counters.flush(&b.answerer.tally)
	}
}

// receive takes what is there, at least one message; 0 when none came in time.
//
// While messages queue up the call returns at once, and the scheduler needn't
// hear of it: telling it costs more than answering. At times it is told
// nevertheless, so that the other goroutines get their share.
func (b *batch) receive() int {
	if b.busy > 0 {
		b.busy--
		if n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0); errno == 0 {
			return int(n)
		}
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_WAITFORONE, 0, 0)
	if errno != 0 {
		return 0
	}
	if n > 1 {
		b.busy = busyCalls
	} else {
		b.busy = 0
	}
	return int(n)
}

// answer answers the first n messages in place, and says how many answers are
// to be sent.
func (b *batch) answer(n int) (answers int) {
	view := b.server.view.Load()
	for i := range n {
		in := &b.in[i]
		from, ok := b.sender(i)
		size := 0
		if ok {
			size = b.answerer.reply(view, b.buf[i][:], int(in.size), from, false)
		}
		if size > 0 {
			o := &b.out[answers].hdr
			o.Name, o.Namelen = in.hdr.Name, in.hdr.Namelen
			b.outIov[answers].Base = &b.buf[i][0]
			b.outIov[answers].SetLen(size)
			answers++
		}
		in.hdr.Namelen = unix.SizeofSockaddrInet6
	}
	return answers
}

// sender is who sent message i; not ok for port 0, which nobody can answer.
func (b *batch) sender(i int) (netip.Addr, bool) {
	from := &b.from[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&from.Port))[:])
	if from.Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(from)).Addr), port != 0
	}
	return netip.AddrFrom16(from.Addr).Unmap(), port != 0
}

// send gives the answers to the kernel. One that it refuses is lost, the
// others follow.
func (b *batch) send(answers int) {
	for sent := 0; sent < answers; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.out[sent])), uintptr(answers-sent), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN { // the queue to the network is full: wait for it
			n, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.out[sent])), uintptr(answers-sent), 0, 0, 0)
		}
		switch {
		case errno == unix.EINTR:
		case errno != 0 || n == 0:
			sent++
		default:
			sent += int(n)
		}
	}
}

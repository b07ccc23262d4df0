package edge

import (
	"net"
	"net/netip"
	"sync"
)

// closer is a client's connection to a Server that ends: Shutdown lets a
// request come to its end, Close doesn't.
type closer interface {
	Shutdown()
	Close()
}

// conns are the clients' connections over TCP.
type conns struct {
	limit, perAddress int

	mu        sync.Mutex
	all       map[net.Conn]closer
	addresses map[netip.Addr]int
	ending    bool
}

func (c *conns) init(l ServerLimits) {
	c.limit, c.perAddress = l.Connections, l.ConnectionsPerAddress
	c.all, c.addresses = map[net.Conn]closer{}, map[netip.Addr]int{}
}

// add takes a connection; false: there are too many.
func (c *conns) add(conn net.Conn, how closer) bool {
	from := clientKey(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending || len(c.all) >= c.limit || c.addresses[from] >= c.perAddress {
		return false
	}
	c.all[conn] = how
	c.addresses[from]++
	return true
}

// become changes how a connection ends; false: it is to end now.
func (c *conns) become(conn net.Conn, how closer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.all[conn]; !there || c.ending {
		return false
	}
	c.all[conn] = how
	return true
}

func (c *conns) remove(conn net.Conn) {
	from := clientKey(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, conn)
	if c.addresses[from]--; c.addresses[from] <= 0 {
		delete(c.addresses, from)
	}
}

func (c *conns) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// end calls Shutdown, or Close, of each.
func (c *conns) end(now bool) {
	c.mu.Lock()
	c.ending = true
	var all []closer
	for _, how := range c.all {
		all = append(all, how)
	}
	c.mu.Unlock()
	for _, how := range all {
		if now {
			how.Close()
		} else {
			how.Shutdown()
		}
	}
}

// clientKey is the address that a client can't choose freely: its IPv4
// address, or its IPv6 /64.
func clientKey(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// cut is a connection that has no request to wait for.
type cut struct{ net.Conn }

func (c cut) Shutdown() { c.Conn.Close() }
func (c cut) Close()    { c.Conn.Close() }

// goingAway is an HTTP/2 connection: its server tells it to go away.
type goingAway struct{ net.Conn }

func (g goingAway) Shutdown() {}
func (g goingAway) Close()    { g.Conn.Close() }

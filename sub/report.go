package sub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"b8s/control"
	"b8s/kv"
	"b8s/subjects"
	"b8s/version"
)

// reportEvery is how often the dom is told how the sub is when nothing changes.
const reportEvery = 15 * time.Second

// report tells the dom what this sub serves: on connect, on each change, and
// every 15 s, until ctx ends. A report that is lost is followed by the next.
func (s *host) report(ctx context.Context, conn *nats.Conn) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	connected := conn.StatusChanged(nats.CONNECTED)
	defer conn.RemoveStatusListener(connected)
	for {
		changed := s.apply.changes.next()
		s.tell(conn)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-s.replica.Changed():
		case <-connected:
		case <-tick.C:
		}
		select { // what changes together is told together
		case <-ctx.Done():
			return
		case <-time.After(gather(s.apply.Subs())):
		}
	}
}

// gather is how long a report waits for more to tell: a publish changes
// several buckets. Telling must not delay serving either: what a large fleet
// tells all at once takes time on a dom that still has others to tell.
func gather(subs int) time.Duration {
	return min(10*time.Millisecond+time.Duration(subs)*500*time.Microsecond, 250*time.Millisecond)
}

func (s *host) tell(conn *nats.Conn) {
	current, ok := s.link.masters.Current()
	if !ok || !conn.IsConnected() {
		return
	}
	message, err := s.status(current.Name).Encode()
	if err == nil {
		err = conn.Publish(subjects.Status(current.Name), message)
	}
	if err != nil {
		s.log.Warn("tell the dom how this sub is", "err", err)
	}
}

// status is what this sub serves now.
func (s *host) status(name string) kv.Status {
	free, total := diskSpace(s.dir.Path)
	now := time.Now()
	st := kv.Status{
		Sub: name, Version: version.String(), Platform: version.Platform(),
		Boot: s.boot.UTC(), Time: now.UTC(), Uptime: int64(now.Sub(s.boot).Seconds()),
		Recipient: s.id.Seal.Recipient(),
		Buckets:   s.replica.State(),
		DiskFree:  free, DiskTotal: total, MemoryFree: memoryFree(), MemoryUsed: memoryUsed(),
	}
	for _, a := range s.dns.Addrs() {
		st.DNS = append(st.DNS, a.String())
	}
	st.Zones, st.GeoLite, st.Problems = s.apply.Served()
	if free > 0 && free < lowDisk {
		st.Problems = append(st.Problems, fmt.Sprintf("disk: %d MiB free where the state is kept, below %d MiB new data is not taken", free>>20, lowDisk>>20))
	}
	return st
}

// lowDisk is the free space below which a sub asks for attention.
const lowDisk = 200 << 20

// What the operator of this server asks (package control).
const (
	verbStatus = "status"
	verbToken  = "token"
)

// View is b8s sub status: the sub from its own side, without the dom.
type View struct {
	Status     kv.Status   `json:"status"`
	Link       LinkState   `json:"link"`
	Invitation *Invitation `json:"invitation,omitempty"` // while an enrolment is open
}

func (s *host) view() View {
	link := s.link.State()
	v := View{Status: s.status(link.Name), Link: link}
	if i, open := s.link.Invitation(); open {
		v.Invitation = &i
	}
	return v
}

// Client speaks to the sub that runs on a state folder.
type Client struct{ State string }

func call[Res any](ctx context.Context, c Client, verb string) (res Res, err error) {
	socket, err := control.SocketPath(c.State)
	if err != nil {
		return res, err
	}
	return control.Call[Res](ctx, socket, verb, struct{}{}, func(json.RawMessage) {})
}

// Status is the sub from its own side.
func (c Client) Status(ctx context.Context) (View, error) { return call[View](ctx, c, verbStatus) }

// Token opens an enrolment for 15 minutes, for a dom that is to adopt the sub.
func (c Client) Token(ctx context.Context) (Invitation, error) {
	return call[Invitation](ctx, c, verbToken)
}

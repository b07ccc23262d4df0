package dom

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"b8s/control"
)

// force carries out "force".
func (d *Dom) force(ctx context.Context, req ForceRequest, report func(any)) (r ForceResult, err error) {
	if !slices.Contains(served(), req.Bucket) {
		return r, control.Usage(fmt.Errorf("no bucket %q that subs serve", req.Bucket), "one of "+strings.Join(served(), ", "))
	}
	d.publishing.Lock()
	defer d.publishing.Unlock()
	started := time.Now()
	r.Bucket = req.Bucket
	r.Epoch, err = d.store.Force(ctx, req.Bucket, d.reports.HighestEpoch(req.Bucket))
	if err != nil {
		return r, err
	}
	d.log.Warn("bucket forced", "bucket", req.Bucket, "epoch", r.Epoch)
	for _, m := range d.fleet.Enrolled() {
		d.pulse.Beat(m.Key)
	}
	r.Verdict, err = d.await(ctx, started, req.Wait, report, d.serves(req.Bucket))
	return r, err
}

// nats carries out "nats": the bus is open on loopback until the call ends.
func (d *Dom) nats(ctx context.Context, req NatsRequest, report func(any)) (struct{}, error) {
	way, err := d.bus.OpenLoopback(ctx, req.Writable)
	if err != nil {
		return struct{}{}, err
	}
	defer way.Close()
	report(NatsAccess{URL: way.URL, User: way.User, Password: way.Password})
	<-ctx.Done()
	return struct{}{}, nil
}

package dom

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"b8s/control"
	"b8s/kv"
	"b8s/subjects"
	"b8s/zonefile"
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
	if req.Bucket == subjects.Records {
		if err := d.raiseSerials(ctx); err != nil {
			return r, err
		}
	}
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

// raiseSerials makes each zone newer than what any sub says it serves, where
// subs serve something else: a forced zone is news to whoever transfers it,
// though it may come from an old backup.
func (d *Dom) raiseSerials(ctx context.Context) error {
	believed := d.believe(subjects.Records)
	if believed.err != nil {
		return believed.err
	}
	differs := func(s kv.SubStatus) bool { return s.Buckets[subjects.Records].Digest != believed.digest }
	if !slices.ContainsFunc(slices.Collect(maps.Values(d.reports.All())), differs) {
		return nil
	}
	current, err := d.published(ctx)
	if err != nil {
		return err
	}
	reported := d.reportedSerials()
	for _, z := range current.Zones {
		last, served := reported[z.Apex]
		if !served || zonefile.SerialAfter(z.Serial(), last) {
			continue
		}
		if err := d.putZone(ctx, z.Apex, z.WithSerial(last+1)); err != nil {
			return fmt.Errorf("raise the serial of zone %s: %w", z.Apex, err)
		}
	}
	return nil
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

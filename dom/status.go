package dom

import (
	"context"
	"fmt"
	"strings"
	"time"

	"b8s/kv"
	"b8s/subjects"
	"b8s/tunnel"
	"b8s/version"
)

// settle is how long a fresh dom gives its subs before it calls them away.
const settle = 3 * time.Second

// status carries out "status". A dom that has just started waits a moment for
// its subs first.
func (d *Dom) status(ctx context.Context, _ struct{}, _ func(any)) (Report, error) {
	if left := settle - time.Since(d.started); left > 0 {
		if _, err := d.await(ctx, time.Now(), left, func(any) {}, d.serves(served()...)); err != nil {
			return Report{}, err
		}
	}
	return d.report(ctx)
}

// served are the buckets that this version publishes to subs.
func served() (names []string) {
	for _, b := range subjects.Buckets() {
		if b.Used && b.Name != subjects.StatusKV {
			names = append(names, b.Name)
		}
	}
	return names
}

func (d *Dom) report(ctx context.Context) (Report, error) {
	r := Report{OK: true, Version: version.String(), Uptime: millis(time.Since(d.started))}
	current, err := d.published(ctx)
	if err != nil {
		return r, err
	}
	r.Zones = len(current.Zones)
	city, hasCity, err := d.city(ctx)
	if err != nil {
		return r, err
	}
	if hasCity {
		r.GeoLite = &GeoReport{Digest: city.Digest, Built: city.Built}
	}
	beliefs := map[string]belief{}
	for _, name := range served() {
		beliefs[name] = d.believe(name)
	}
	vitals, peers := d.vitals(), d.peers()
	for _, m := range d.fleet.Enrolled() {
		s := d.reportSub(m, vitals[m.Key], peers[m.Key], beliefs, city)
		if !s.OK {
			r.OK = false
			r.Why = append(r.Why, m.Name+": "+strings.Join(s.Problems, "; "))
		}
		r.Subs = append(r.Subs, s)
	}
	r.Why = append(r.Why, d.ownProblems()...)
	r.OK = len(r.Why) == 0
	return r, nil
}

// ownProblems are those of the dom itself.
func (d *Dom) ownProblems() (why []string) {
	if err := d.bus.Health(); err != nil {
		why = append(why, fmt.Sprintf("this dom's store: %v", err))
	}
	if err := d.clock.Check(); err != nil {
		why = append(why, err.Error())
	}
	if err := d.geolite.Problem(); err != nil {
		why = append(why, fmt.Sprintf("GeoLite is not refreshed: %v", err))
	}
	return why
}

func (d *Dom) peers() map[tunnel.PublicKey]tunnel.PeerStatus {
	all := map[tunnel.PublicKey]tunnel.PeerStatus{}
	for _, p := range d.device.Peers() {
		all[p.PublicKey] = p
	}
	return all
}

// reportSub is one sub as the dom sees it. Problems are its consequences first.
func (d *Dom) reportSub(m member, v tunnel.Vital, p tunnel.PeerStatus, beliefs map[string]belief, city kv.City) SubReport {
	r := SubReport{
		Sub: m.Name, Live: v.Live, LastSeen: v.LastBeat, RoundTrip: millis(v.Smoothed),
		LastHandshake: p.LastHandshake, Platform: m.Platform,
	}
	if p.Endpoint.IsValid() {
		r.Endpoint = p.Endpoint.String()
	}
	told := d.told(m.Name)
	if !v.Live {
		r.Problems = append(r.Problems, awayText(v)+"; what it serves now is not known")
	}
	if told == nil {
		if v.Live {
			r.Problems = append(r.Problems, "its tunnel answers, but it has not told what it serves since this dom started")
		}
		return r
	}
	r.Told, r.Version, r.Platform = told.Received, told.Version, told.Platform
	r.Uptime = millis(time.Duration(told.Uptime) * time.Second)
	r.GeoLite, r.DiskFree, r.MemoryFree, r.MemoryUsed = told.GeoLite.Built, told.DiskFree, told.MemoryFree, told.MemoryUsed
	for _, name := range served() {
		ok, reason := beliefs[name].serves(name, told)
		b := told.Buckets[name]
		r.Buckets = append(r.Buckets, BucketReport{
			Bucket: name, Revision: b.Revision, Want: beliefs[name].head.Last, Epoch: b.Epoch,
			OK: ok, BehindSince: b.BehindSince, Reason: reason,
		})
		if !ok {
			r.Problems = append(r.Problems, reason)
		}
	}
	if city.Digest != "" && told.GeoLite.Digest != city.Digest {
		r.Problems = append(r.Problems, fmt.Sprintf("geolite: it places visitors by %s, this dom published that of %s", builtText(told.GeoLite.Built), city.Built.Format(time.DateOnly)))
	}
	r.Problems = append(r.Problems, told.Problems...)
	r.OK = r.Live && len(r.Problems) == 0
	return r
}

func builtText(built time.Time) string {
	if built.IsZero() {
		return "no database"
	}
	return "that of " + built.Format(time.DateOnly)
}

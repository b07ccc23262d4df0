package dom

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"b8s/control"
	"b8s/kv"
	"b8s/subjects"
	"b8s/zonefile"
)

// historyRecords carries out "history records".
func (d *Dom) historyRecords(ctx context.Context, req ZoneRequest, _ func(any)) ([]HistoryEntry, error) {
	apex, err := zonefile.Name(req.Zone)
	if err != nil {
		return nil, control.Usage(err, "")
	}
	key, err := subjects.Key(apex)
	if err != nil {
		return nil, control.Usage(err, "")
	}
	entries, err := d.store.History(ctx, subjects.Records, key)
	if errors.Is(err, kv.ErrNotFound) || err == nil && len(entries) == 0 {
		return nil, control.Failed(fmt.Errorf("zone %s was never published", apex), d.knownZones(ctx))
	}
	if err != nil {
		return nil, err
	}
	var history []HistoryEntry
	var before *zonefile.Zone
	for i, e := range entries {
		h := HistoryEntry{Revision: e.Revision, Time: e.Created, Change: "removed", Current: i == len(entries)-1}
		var z *zonefile.Zone
		if !e.Deleted {
			if z, err = d.readZone(ctx, e); err != nil {
				h.Change = "not kept any more"
			} else {
				h.Serial, h.Records, h.Change = z.Serial(), len(z.Records), changeText(before, z)
			}
		}
		before = z
		history = append(history, h)
	}
	slices.Reverse(history)
	return history, nil
}

func changeText(before, after *zonefile.Zone) string {
	if before == nil {
		return "published"
	}
	changes := zonefile.Diff(before, after)
	if changes.Empty() {
		return "no change but the serial"
	}
	return changes.String()
}

// knownZones is the hint for a zone that isn't there.
func (d *Dom) knownZones(ctx context.Context) string {
	current, err := d.published(ctx)
	if err != nil || len(current.Zones) == 0 {
		return "no zone is published yet:  b8s dom publish records"
	}
	var names []string
	for _, z := range current.Zones {
		names = append(names, strings.TrimSuffix(z.Apex, "."))
	}
	return "published: " + strings.Join(names, ", ")
}

// delegation carries out "delegation".
func (d *Dom) delegation(ctx context.Context, req ZoneRequest, _ func(any)) (r DelegationResult, err error) {
	apex, err := zonefile.Name(req.Zone)
	if err != nil {
		return r, control.Usage(err, "")
	}
	current, err := d.published(ctx)
	if err != nil {
		return r, err
	}
	for _, z := range current.Zones {
		if z.Apex != apex {
			continue
		}
		r.Zone = apex
		lines, err := z.Delegation()
		if err != nil {
			return r, err
		}
		for _, rr := range lines.NS {
			r.NS = append(r.NS, string(zonefile.AppendText(nil, rr)))
		}
		for _, rr := range lines.Glue {
			r.Glue = append(r.Glue, string(zonefile.AppendText(nil, rr)))
		}
		return r, nil
	}
	return r, control.Failed(fmt.Errorf("zone %s is not published", apex), d.knownZones(ctx))
}

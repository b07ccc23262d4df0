package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"b8s/dom"
	"b8s/kv"
)

// query asks a sub: "query SUB NAME TYPE [SUBNET] [over=tcp]". It prints the
// response code, "not authoritative" where it is not, and each record's rdata;
// an address of a sub is the sub's name.
func (w *world) query(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	qtype, ok := dns.StringToType[c.arg(2)]
	if !ok {
		return "", fmt.Errorf("no type %q", c.arg(2))
	}
	var subnet netip.Prefix
	if c.arg(3) != "" {
		if subnet, err = netip.ParsePrefix(c.arg(3)); err != nil {
			return "", err
		}
	}
	network := "udp"
	if over, ok := c.opts["over"]; ok {
		network = over
	}
	m, err := exchange(w.ctx, network, h.role.dns(), question(dns.Fqdn(c.arg(1)), qtype, subnet))
	if err != nil {
		return "no answer\n", nil
	}
	lines := []string{dns.RcodeToString[m.Rcode]}
	if m.Rcode == dns.RcodeSuccess && !m.Authoritative {
		lines = append(lines, "not authoritative")
	}
	for _, rr := range m.Answer {
		lines = append(lines, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(lines, " ") + "\n", nil
}

// status is a sub from its own side: "status SUB [zones] [buckets]", all
// of it without a further word.
func (w *world) status(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	v, err := h.subClient().Status(w.ctx)
	if err != nil {
		return "", err
	}
	all := len(c.args) == 1
	var b strings.Builder
	if all || c.has("link") {
		switch {
		case v.Link.Name == "":
			fmt.Fprintln(&b, "dom: none")
		case v.Link.Connected && time.Since(v.Link.LastBeat) < quietAfter:
			fmt.Fprintln(&b, "dom: connected")
		default:
			fmt.Fprintln(&b, "dom: away")
		}
	}
	if all || c.has("zones") {
		fmt.Fprintf(&b, "zones: %s\n", serialsText(v.Status.Zones.Serials))
		fmt.Fprintf(&b, "database: %s\n", w.databaseName(v.Status.GeoLite.Digest))
	}
	if all || c.has("buckets") {
		for _, name := range slices.Sorted(maps.Keys(v.Status.Buckets)) {
			fmt.Fprintln(&b, w.bucketText(name, v.Status.Buckets[name]))
		}
	}
	for range v.Status.Problems {
		fmt.Fprintln(&b, "a problem")
	}
	return b.String(), nil
}

// disk is what a sub has on disk of each bucket, and would start from: "disk SUB".
func (w *world) disk(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(h.role.State, "replica", "buckets", "*"))
	for _, path := range files { // Glob sorts
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it is being replaced
		}
		var head struct{ Revision uint64 }
		line, _, _ := strings.Cut(string(text), "\n")
		if err := json.Unmarshal([]byte(line), &head); err != nil {
			return "", fmt.Errorf("snapshot %s: %w", path, err)
		}
		fmt.Fprintf(&b, "%s: revision %d\n", filepath.Base(path), head.Revision)
	}
	return b.String(), nil
}

// quietAfter is two heartbeats and a bit: a dom that is silent for longer is
// away for a script.
const quietAfter = 12 * time.Second

func serialsText(serials map[string]uint32) string {
	if len(serials) == 0 {
		return "none"
	}
	var all []string
	for _, apex := range slices.Sorted(maps.Keys(serials)) {
		all = append(all, fmt.Sprintf("%s %d", apex, serials[apex]))
	}
	return strings.Join(all, ", ")
}

// bucketText is a bucket as a sub serves it, in stable words.
func (w *world) bucketText(name string, b kv.BucketStatus) string {
	text := fmt.Sprintf("%s: %s revision %d", name, w.epochText(b.Epoch), b.Revision)
	switch {
	case b.Fault != "":
		text += ", stands still"
	case !b.BehindSince.IsZero():
		text += ", behind"
	}
	for _, f := range b.Faults {
		text += ", keeps the older " + f.Key
	}
	return text
}

// epochText is an epoch as it is, or, when it was forced and so is a time, the
// number of the force in this scenario.
func (w *world) epochText(epoch uint64) string {
	if epoch < 1e6 {
		return fmt.Sprintf("epoch %d", epoch)
	}
	i := slices.Index(w.epochs, epoch)
	if i < 0 {
		i = len(w.epochs)
		w.epochs = append(w.epochs, epoch)
	}
	return fmt.Sprintf("epoch forced-%d", i+1)
}

// domStatus is "b8s dom status" in stable words: "dom-status [dom=NAME]".
func (w *world) domStatus(c call) (string, error) {
	r, err := w.dom(c.opts["dom"]).domClient().Status(w.ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if r.OK {
		fmt.Fprintln(&b, "everything as published")
	} else {
		fmt.Fprintln(&b, "not as published")
	}
	for _, s := range r.Subs {
		fmt.Fprintf(&b, "%s: %s\n", s.Sub, strings.Join(subWords(s), ", "))
	}
	return b.String(), nil
}

func subWords(s dom.SubReport) (words []string) {
	if s.OK {
		return []string{"ok"}
	}
	if !s.Live {
		words = append(words, "away")
	}
	for _, b := range s.Buckets {
		switch {
		case b.OK:
		case strings.Contains(b.Reason, "keeps what it had"):
			words = append(words, b.Bucket+" stands still")
		case b.Revision < b.Want:
			words = append(words, fmt.Sprintf("%s at %d of %d", b.Bucket, b.Revision, b.Want))
		default:
			words = append(words, b.Bucket+" not as published")
		}
	}
	if len(words) == 0 {
		words = append(words, "a problem")
	}
	return words
}

// why is the reasons in full, as the dom's status gives them: "why
// [dom=NAME]"; with the name of a sub, as that sub gives them.
func (w *world) why(c call) (string, error) {
	if c.arg(0) == "" {
		r, err := w.dom(c.opts["dom"]).domClient().Status(w.ctx)
		return strings.Join(r.Why, "\n") + "\n", err
	}
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	v, err := h.subClient().Status(w.ctx)
	if err != nil {
		return "", err
	}
	lines := slices.Clone(v.Status.Problems)
	for _, name := range slices.Sorted(maps.Keys(v.Status.Buckets)) {
		b := v.Status.Buckets[name]
		if b.Fault != "" {
			lines = append(lines, name+": "+b.Fault)
		}
		for _, f := range b.Faults {
			lines = append(lines, fmt.Sprintf("%s %s: %s", name, f.Key, f.Reason))
		}
	}
	if v.Invitation != nil {
		lines = append(lines, "enrolment: "+v.Invitation.Diagnosis)
	}
	return strings.Join(lines, "\n") + "\n", nil
}

// asked says whether each question to each sub was answered so far: "asked".
func (w *world) asked(call) (string, error) {
	var b strings.Builder
	for _, h := range w.subs() {
		switch n, wrong := h.asker.found(); {
		case wrong != "":
			fmt.Fprintf(&b, "%s: %s\n", h.name, wrong)
		case n == 0:
			fmt.Fprintf(&b, "%s: never asked\n", h.name)
		default:
			fmt.Fprintf(&b, "%s: every question answered\n", h.name)
		}
	}
	return b.String(), nil
}

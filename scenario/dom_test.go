package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"b8s/citydb/citymake"
	"b8s/config"
	"b8s/control"
	"b8s/dom"
	"b8s/place"
)

// domCommand starts and ends a dom, and does to its state folder what can
// happen to it: "dom init|start [child]|stop|kill|wipe-store|save NAME|
// restore NAME [store] [dom=NAME]".
func (w *world) domCommand(c call) (string, error) {
	h := w.dom(c.opts["dom"])
	store, saved := filepath.Join(h.role.State, "store"), filepath.Join(w.dir, "saved-"+c.arg(1))
	switch c.arg(0) {
	case "init":
		return "", initDom(h)
	case "start":
		return "", h.start(w.ctx, c.has("child"))
	case "stop":
		return "", h.end(process.Stop)
	case "kill":
		return "", h.end(process.Kill)
	}
	if h.run != nil {
		return "", errors.New("stop it first")
	}
	switch c.arg(0) {
	case "wipe-store":
		return "", os.RemoveAll(store)
	case "save":
		return "", replaceDir(saved, h.role.State)
	case "restore":
		if c.has("store") {
			return "", replaceDir(store, filepath.Join(saved, "store"))
		}
		return "", replaceDir(h.role.State, saved)
	}
	return "", fmt.Errorf("dom does not know %q", c.arg(0))
}

func initDom(h *host) error {
	key, _, err := dom.Init(h.role.State)
	h.key = key.String()
	return err
}

// replaceDir makes to a copy of from, with its permissions.
func replaceDir(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		info, err := d.Info()
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, info.Mode().Perm())
		case !info.Mode().IsRegular():
			return nil // a socket
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode().Perm())
	})
}

// verbWait is how long a verb waits for the subs.
const verbWait = 20 * time.Second

// addSub is "b8s dom add-sub": "add-sub NAME [ticket=KEPT] [wait=DURATION]
// [dom=NAME]".
func (w *world) addSub(c call) (string, error) {
	req, err := w.addSubRequest(c)
	if err != nil {
		return "", err
	}
	r, err := w.dom(c.opts["dom"]).domClient().AddSub(w.ctx, req, nil)
	if err != nil {
		return told(err)
	}
	return addSubText(r), nil
}

func (w *world) addSubRequest(c call) (req dom.AddSubRequest, err error) {
	req = dom.AddSubRequest{Name: c.arg(0), Coordinates: placeOf(c.arg(0)), Port: tunnelPort}
	if req.Wait, err = c.duration("wait", verbWait); err != nil {
		return req, err
	}
	if kept, ok := c.opts["ticket"]; ok {
		req.Ticket = w.kept[kept]
		return req, nil
	}
	req.Ticket, err = w.invitation(c.arg(0))
	return req, err
}

// addSubText is which checks passed, and what the others found.
func addSubText(r dom.AddSubResult) string {
	code, lines := 0, []string{}
	for _, c := range r.Checks {
		if c.OK {
			lines = append(lines, c.What+": ok")
		} else {
			code = 1
			lines = append(lines, c.What+": FAILED: "+c.Result)
		}
	}
	return fmt.Sprintf("exit %d\n%s", code, strings.Join(lines, "\n"))
}

// told is what the operator reads of a verb that failed.
func told(err error) (string, error) {
	var fault *control.Fault
	if !errors.As(err, &fault) {
		return "", err
	}
	text := fmt.Sprintf("exit %d\n%s", fault.Code, fault.Message)
	if fault.Hint != "" {
		text += "\n" + fault.Hint
	}
	return text, nil
}

// publish is "b8s dom publish records" in the site folder: "publish
// [wait=DURATION] [dom=NAME]".
func (w *world) publish(c call) (string, error) {
	req, err := w.publishRequest(c)
	if err != nil {
		return "", err
	}
	r, err := w.dom(c.opts["dom"]).domClient().PublishRecords(w.ctx, req, nil)
	if err != nil {
		return told(err)
	}
	return publishText(r), nil
}

func (w *world) publishRequest(c call) (req dom.PublishRequest, err error) {
	if req.Wait, err = c.duration("wait", verbWait); err != nil {
		return req, err
	}
	req.RemoveZones = true
	file, err := config.Load(filepath.Join(w.site, "b8s.yaml"))
	if err != nil {
		return req, err
	}
	req.Wish, err = file.Wish()
	return req, err
}

// publishCut begins a publish and kills the dom in it: "publish-cut journal"
// as soon as the dom has written down what is wished, "publish-cut" when all of
// it is stored and no sub was awaited yet. A dom that was quicker is killed
// right after.
func (w *world) publishCut(c call) (string, error) {
	req, err := w.publishRequest(c)
	if err != nil {
		return "", err
	}
	h := w.dom("")
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	if c.has("journal") {
		go func() {
			defer cancel() // the caller goes as well
			h.awaitJournal(ctx)
			h.run.Kill()
		}()
		h.domClient().PublishRecords(ctx, req, nil)
		<-ctx.Done()
	} else {
		h.domClient().PublishRecords(ctx, req, func(e dom.Event) {
			if e.Stage == "published" {
				h.run.Kill()
			}
		})
	}
	return "", h.end(process.Kill)
}

// awaitJournal waits until the dom has written its journal anew.
func (h *host) awaitJournal(ctx context.Context) {
	path := filepath.Join(h.role.State, "published.json")
	before, _ := os.Stat(path)
	for ctx.Err() == nil {
		if now, err := os.Stat(path); err == nil && !os.SameFile(before, now) {
			return
		}
		<-time.After(200 * time.Microsecond)
	}
}

func publishText(r dom.PublishResult) string {
	var b strings.Builder
	for _, z := range r.Plan.Zones {
		fmt.Fprintf(&b, "%s %s: +%d -%d ~%d, serial %d\n", z.Action, z.Apex, z.Added, z.Removed, z.Changed, z.Serial)
	}
	for _, s := range r.Plan.Sites {
		fmt.Fprintf(&b, "%s site %s\n", s.Action, s.Name)
	}
	return b.String() + verdictText(r.Verdict)
}

// verdictText is how the verb ends: its exit code, and who serves it.
func verdictText(v dom.Verdict) string {
	code := 0
	if !v.OK {
		code = 1
	}
	text := fmt.Sprintf("exit %d\n", code)
	for _, s := range v.Subs {
		if s.Confirmed {
			text += s.Sub + ": serves it\n"
		} else {
			text += s.Sub + ": " + s.Reason + "\n"
		}
	}
	return text
}

// undo is "b8s dom undo records [ZONE]".
func (w *world) undo(c call) (string, error) {
	wait, err := c.duration("wait", verbWait)
	if err != nil {
		return "", err
	}
	r, err := w.dom("").domClient().UndoRecords(w.ctx, dom.UndoRequest{Zone: c.arg(0), Wait: wait}, nil)
	if err != nil {
		return told(err)
	}
	return publishText(r), nil
}

// force is "b8s dom force BUCKET".
func (w *world) force(c call) (string, error) {
	wait, err := c.duration("wait", verbWait)
	if err != nil {
		return "", err
	}
	r, err := w.dom(c.opts["dom"]).domClient().Force(w.ctx, dom.ForceRequest{Bucket: c.arg(0), Wait: wait}, nil)
	if err != nil {
		return told(err)
	}
	return verdictText(r.Verdict), nil
}

// cities makes a city database in the site folder, one line of input a
// network: "cities NAME [type=TYPE] <<", "PREFIX LAT,LON".
func (w *world) cities(c call) (string, error) {
	var networks []citymake.Network
	for line := range strings.Lines(c.input) {
		field := strings.Fields(line)
		if len(field) != 2 {
			return "", fmt.Errorf("%q: want PREFIX LAT,LON", line)
		}
		prefix, err := netip.ParsePrefix(field[0])
		if err != nil {
			return "", err
		}
		at, err := place.Parse(field[1])
		if err != nil {
			return "", err
		}
		networks = append(networks, citymake.Network{Prefix: prefix, Point: at, AccuracyKM: 10, City: "x", Country: "y"})
	}
	kind := "GeoLite2-City"
	if t, ok := c.opts["type"]; ok {
		kind = t
	}
	var b bytes.Buffer
	if err := citymake.MakeType(&b, kind, networks, time.Now()); err != nil {
		return "", err
	}
	return "", os.WriteFile(filepath.Join(w.site, c.arg(0)), b.Bytes(), 0o644)
}

// geolite is "b8s dom geolite --file NAME".
func (w *world) geolite(c call) (string, error) {
	wait, err := c.duration("wait", verbWait)
	if err != nil {
		return "", err
	}
	f, err := os.Open(filepath.Join(w.site, c.arg(0)))
	if err != nil {
		return "", err
	}
	defer f.Close()
	client := w.dom("").domClient()
	upload, err := client.Upload(f)
	if err != nil {
		return "", err
	}
	r, err := client.PublishGeoLite(w.ctx, dom.GeoLiteRequest{Upload: upload, Wait: wait}, nil)
	if err != nil {
		return told(err)
	}
	return verdictText(r.Verdict), nil
}

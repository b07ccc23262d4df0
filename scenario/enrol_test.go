package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// identity tells which dom a sub follows, and whether it was enrolled anew
// since the script last looked: "identity SUB".
func (w *world) identity(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	var file struct {
		Current *struct {
			Key      string
			Enrolled time.Time
		}
	}
	text, err := os.ReadFile(filepath.Join(h.role.State, "dom.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		return "", err
	}
	if file.Current == nil {
		return "follows no dom\n", nil
	}
	if !file.Current.Enrolled.Equal(h.enrolled) {
		h.enrolled = file.Current.Enrolled
		h.enrolments++
	}
	followed := "an unknown dom"
	for _, d := range w.doms() {
		if d.key == file.Current.Key {
			followed = d.name
		}
	}
	return fmt.Sprintf("follows %s, enrolment %d\n", followed, h.enrolments), nil
}

// silent says whether a sub sent a single datagram since "silent SUB mark".
func (w *world) silent(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	now := h.relay.fromSub.Load()
	switch {
	case c.arg(1) == "mark":
		h.mark = now
		return "", nil
	case now == h.mark:
		return "not one datagram from " + h.name + "\n", nil
	}
	return h.name + " sent something\n", nil
}

// enrolKilled proves that add-sub can be run again wherever one side was
// killed: "enrol-killed dom|sub points=N". For each point a new sub is enrolled; the
// side is killed with the datagram of that number on the way between them, is
// started again, and add-sub is run again, with the line that the sub shows
// now, or with the same one when it shows none.
func (w *world) enrolKilled(c call) (string, error) {
	points, err := strconv.Atoi(c.opts["points"])
	if err != nil {
		return "", err
	}
	var b strings.Builder
	first := 1
	if text, ok := c.opts["from"]; ok {
		if first, err = strconv.Atoi(text); err != nil {
			return "", err
		}
	}
	for n := first; n <= points; n++ {
		if err := w.killAndAddAgain(fmt.Sprintf("s%d", n), n, c.arg(0) == "dom", &b); err != nil {
			return b.String(), fmt.Errorf("point %d: %w", n, err)
		}
	}
	return b.String(), nil
}

func (w *world) killAndAddAgain(name string, datagram int, killDom bool, b *strings.Builder) error {
	s, err := w.sub(name)
	if err != nil {
		return err
	}
	if err := s.start(w.ctx, true); err != nil {
		return err
	}
	victim := s
	if killDom {
		victim = w.dom("")
	}
	ticket, err := w.invitation(name)
	if err != nil {
		return err
	}
	w.kept["before"] = ticket
	if err := w.addAndKill(s, victim, datagram); err != nil {
		return err
	}
	if err := victim.start(w.ctx, true); err != nil {
		return err
	}
	return w.addAgain(s, datagram, b)
}

// addAndKill begins add-sub and returns once the victim was killed.
func (w *world) addAndKill(s, victim *host, datagram int) error {
	s.asker.forget() // a sub in its first second has no snapshot yet
	if !victim.role.Dom {
		s.asker.stop()
	}
	req, err := w.addSubRequest(call{args: []string{s.name}, opts: map[string]string{"ticket": "before"}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	killed, ended := make(chan error, 1), make(chan struct{})
	s.relay.before(datagram, func() { killed <- victim.run.Kill() })
	go func() {
		defer close(ended)
		w.dom("").domClient().AddSub(ctx, req, nil)
	}()
	select {
	case err = <-killed:
		victim.run = nil
	case <-time.After(20 * time.Second):
		err = errors.New("so many datagrams never passed")
	}
	cancel() // the operator gives up
	<-ended
	return err
}

// addAgain is the operator's second try.
func (w *world) addAgain(s *host, datagram int, b *strings.Builder) error {
	v, err := s.subClient().Status(w.ctx)
	if err != nil {
		return err
	}
	opts := map[string]string{"ticket": "before"}
	if v.Link.Name == "" { // it is not enrolled, and shows a line
		delete(opts, "ticket")
	}
	out, err := w.addSub(call{args: []string{s.name}, opts: opts})
	if err != nil {
		return err
	}
	first, rest, _ := strings.Cut(out, "\n")
	fmt.Fprintf(b, "killed with datagram %d on the way: add-sub again: %s\n", datagram, first)
	if first != "exit 0" {
		b.WriteString(rest + "\n")
	}
	return s.end(process.Stop)
}

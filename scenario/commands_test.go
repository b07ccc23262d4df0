package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"b8s/tunnel"
)

// commands are all that a script can say. Each returns what it prints; an
// error is the script's, or the machine's, and ends the scenario.
func commands() map[string]func(*world, call) (string, error) {
	return map[string]func(*world, call) (string, error){
		"fleet":         (*world).fleet,
		"dom":           (*world).domCommand,
		"sub":           (*world).subCommand,
		"file":          (*world).file,
		"edit":          (*world).edit,
		"standard-site": func(w *world, _ call) (string, error) { return "", w.standardSite() },
		"ticket":        (*world).ticket,
		"wait-ticket":   (*world).waitTicket,
		"token":         (*world).token,
		"add-sub":       (*world).addSub,
		"enrol-killed":  (*world).enrolKilled,
		"publish":       (*world).publish,
		"publish-cut":   (*world).publishCut,
		"undo":          (*world).undo,
		"force":         (*world).force,
		"cities":        (*world).cities,
		"geolite":       (*world).geolite,
		"geolite-put":   (*world).geolitePut,
		"cut":           (*world).cut,
		"heal":          (*world).heal,
		"lose-live":     (*world).loseLive,
		"keep-live":     (*world).keepLive,
		"poison":        (*world).poison,
		"query":         (*world).query,
		"status":        (*world).status,
		"disk":          (*world).disk,
		"dom-status":    (*world).domStatus,
		"why":           (*world).why,
		"identity":      (*world).identity,
		"silent":        (*world).silent,
		"asked":         (*world).asked,
	}
}

// places of the subs that scripts name; others are on the Greenwich meridian.
var places = map[string]string{
	"sydney":    "-33.87,151.21",
	"london":    "51.51,-0.13",
	"new-york":  "40.71,-74.01",
	"singapore": "1.35,103.82",
}

func placeOf(name string) string {
	if at, ok := places[name]; ok {
		return at
	}
	return "0,0"
}

// fleet makes a dom and the named subs, enrols them, and publishes the
// standard site: "fleet [child] NAME...".
func (w *world) fleet(c call) (string, error) {
	asChild := c.has("child")
	h := w.dom("")
	if err := initDom(h); err != nil {
		return "", err
	}
	if err := h.start(w.ctx, asChild); err != nil {
		return "", err
	}
	for _, name := range c.args {
		if name == "child" {
			continue
		}
		s, err := w.sub(name)
		if err != nil {
			return "", err
		}
		if err := s.start(w.ctx, asChild); err != nil {
			return "", err
		}
		out, err := w.addSub(call{args: []string{name}, opts: map[string]string{}})
		if err != nil || !strings.HasPrefix(out, "exit 0") {
			return out, err
		}
	}
	if err := w.standardSite(); err != nil {
		return "", err
	}
	return w.publish(call{opts: map[string]string{}})
}

// standardSite puts the files of testdata/scenarios/site into the site folder.
func (w *world) standardSite() error {
	return os.CopyFS(w.site, os.DirFS("../testdata/scenarios/site"))
}

// file writes its input into the site folder: "file NAME <<".
func (w *world) file(c call) (string, error) {
	return "", os.WriteFile(filepath.Join(w.site, c.arg(0)), []byte(c.input), 0o644)
}

// edit replaces text in a file of the site folder: "edit NAME OLD NEW".
func (w *world) edit(c call) (string, error) {
	path := filepath.Join(w.site, c.arg(0))
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(text), c.arg(1)) || c.arg(1) == "" {
		return "", fmt.Errorf("no %q in %s", c.arg(1), c.arg(0))
	}
	return "", os.WriteFile(path, []byte(strings.Replace(string(text), c.arg(1), c.arg(2), 1)), 0o644)
}

// subCommand starts and ends a sub: "sub NAME start [child]
// [token-life=DURATION]", "sub NAME stop", "kill", "wipe".
func (w *world) subCommand(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	switch c.arg(1) {
	case "start":
		if life, ok := c.opts["token-life"]; ok {
			if h.role.TokenLife, err = time.ParseDuration(life); err != nil {
				return "", err
			}
		}
		return "", h.start(w.ctx, c.has("child"))
	case "stop":
		return "", h.end(process.Stop)
	case "kill":
		return "", h.end(process.Kill)
	case "wipe":
		if h.run != nil {
			return "", errors.New("stop it first")
		}
		h.asker.forget()
		return "", os.RemoveAll(h.role.State)
	}
	return "", fmt.Errorf("sub does not know %q", c.arg(1))
}

// cut drops what passes between the doms and a sub: "cut NAME [to-sub|to-dom]".
func (w *world) cut(c call) (string, error) { return "", w.setCut(c, true) }

// heal ends that: "heal NAME".
func (w *world) heal(c call) (string, error) { return "", w.setCut(c, false) }

func (w *world) setCut(c call, on bool) error {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return err
	}
	if c.arg(1) != "to-dom" {
		h.relay.cutToSub.Store(on)
	}
	if c.arg(1) != "to-sub" {
		h.relay.cutToDom.Store(on)
	}
	return nil
}

// ticket keeps the line that a sub shows now: "ticket NAME as=KEPT". With
// "wrong-token" or "wrong-key", another token or key stands in it.
func (w *world) ticket(c call) (string, error) {
	text, err := w.invitation(c.arg(0))
	if err != nil {
		return "", err
	}
	ticket, err := tunnel.ParseTicket(text)
	if err != nil {
		return "", err
	}
	switch c.arg(1) {
	case "wrong-token":
		ticket.Token = tunnel.NewToken()
	case "wrong-key":
		ticket.Key = tunnel.NewPrivateKey().Public()
	}
	w.kept[c.opts["as"]] = ticket.String()
	return "", nil
}

// invitation is the ticket in the line that a sub shows now; "" for none.
func (w *world) invitation(name string) (string, error) {
	h, err := w.sub(name)
	if err != nil {
		return "", err
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // its tunnel comes up beside the nameserver
		v, err := h.subClient().Status(w.ctx)
		if err != nil {
			return "", err
		}
		if v.Invitation != nil {
			return ticketIn(v.Invitation.Line)
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("%s shows no add-sub line", name)
		}
		<-time.After(lookEvery)
	}
}

// waitTicket waits until the sub shows another line than a kept one:
// "wait-ticket NAME not=KEPT".
func (w *world) waitTicket(c call) (string, error) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		now, err := w.invitation(c.arg(0))
		if err != nil || now != w.kept[c.opts["not"]] {
			return "", err
		}
		<-time.After(lookEvery)
	}
	return "", errors.New("it shows the same line for ever")
}

// token is "b8s sub token": "token NAME as=KEPT".
func (w *world) token(c call) (string, error) {
	h, err := w.sub(c.arg(0))
	if err != nil {
		return "", err
	}
	i, err := h.subClient().Token(w.ctx)
	if err != nil {
		return "", err
	}
	w.kept[c.opts["as"]], err = ticketIn(i.Line)
	return "", err
}

// ticketIn finds the ticket in the line that is to be pasted.
func ticketIn(line string) (string, error) {
	for _, word := range strings.Fields(line) {
		if _, err := tunnel.ParseTicket(word); err == nil {
			return word, nil
		}
	}
	return "", errors.New("no ticket in the add-sub line")
}

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// ErrNoDaemon is returned by Call when nobody answers on the socket.
var ErrNoDaemon = errors.New("no daemon runs on this state folder")

// Call runs verb on the daemon at the socket and returns its result. Events
// reach onEvent, if it isn't nil, in order and as they come. When the verb
// fails, the error is a *Fault and the result is what the verb could still
// tell. Errors: ErrNoDaemon, *Fault, and the transport's.
func Call[Res any](ctx context.Context, socket, verb string, req any, onEvent func(json.RawMessage)) (res Res, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return res, err
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}
	httpReq, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://b8s/"+verb, bytes.NewReader(body))
	if err != nil {
		return res, err
	}
	answer, err := client.Do(httpReq)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return res, ErrNoDaemon
	}
	if err != nil {
		return res, fmt.Errorf("%s: %w", verb, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return res, fmt.Errorf("%s: the daemon answers %s: it is of another version, restart it", verb, answer.Status)
	}
	return read[Res](verb, answer.Body, onEvent)
}

func read[Res any](verb string, r io.Reader, onEvent func(json.RawMessage)) (res Res, err error) {
	for lines := json.NewDecoder(r); ; {
		var l line
		if err := lines.Decode(&l); err != nil {
			return res, fmt.Errorf("%s: the daemon stopped before it was done (%w): run the command again", verb, err)
		}
		if l.Event != nil {
			if onEvent != nil {
				onEvent(l.Event)
			}
			continue
		}
		if l.Result != nil {
			if err := json.Unmarshal(l.Result, &res); err != nil {
				return res, fmt.Errorf("%s: answer: %w", verb, err)
			}
		}
		if l.Fault != nil {
			return res, l.Fault
		}
		return res, nil
	}
}

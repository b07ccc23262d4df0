// Package verbs holds the operator's commands on the dom, one file a verb.
//
// A verb reads what it needs on the operator's side, sends the contents to the
// dom that runs on the state folder, and prints what comes back. Where none
// runs, the verb runs the dom itself until its act is confirmed, and says so.
package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/control"
	"b8s/dom"
)

// Command is the group "b8s dom".
func Command() *cobra.Command {
	group := &cobra.Command{
		Use:   "dom",
		Short: "The control plane: enrol subs, publish, see what is served",
	}
	cli.StateFlag(group, "dom")
	publish := &cobra.Command{Use: "publish", Short: "Publish to all subs"}
	publish.AddCommand(publishRecords(), publishGeoLite("geolite"))
	undo := &cobra.Command{Use: "undo", Short: "Go back to what was published before"}
	undo.AddCommand(undoRecords())
	history := &cobra.Command{Use: "history", Short: "Show what was published when"}
	history.AddCommand(historyRecords())
	group.AddCommand(initialise(), run(), addSub(), publish, publishGeoLite("geolite"),
		undo, history, delegation(), status(), force(), natsCommand())
	return group
}

// waitFlag gives a verb the bound on how long it waits for the subs.
func waitFlag(cmd *cobra.Command) *time.Duration {
	return cmd.Flags().Duration("wait", 30*time.Second, "how long to wait for every sub to confirm")
}

// withDom calls act with the dom of the command's state folder. Where no
// daemon answers, a dom runs in this process while act does.
func withDom(cmd *cobra.Command, act func(ctx context.Context, c dom.Client) error) error {
	err := withSomeDom(cmd, act)
	if err != nil && cmd.Context().Err() != nil {
		return control.Failed(errors.New("interrupted before it was confirmed"), "what was done by then stands; see  b8s dom status")
	}
	return err
}

func withSomeDom(cmd *cobra.Command, act func(ctx context.Context, c dom.Client) error) error {
	dir, err := cli.StateDir(cmd, "dom")
	if err != nil {
		return err
	}
	c := dom.Client{State: dir}
	err = c.Ping(cmd.Context())
	if err == nil {
		return act(cmd.Context(), c)
	}
	if !errors.Is(err, control.ErrNoDaemon) {
		return err
	}
	return withOwnDom(cmd, c, act)
}

// withOwnDom runs the dom in this process until act returns.
func withOwnDom(cmd *cobra.Command, c dom.Client, act func(ctx context.Context, c dom.Client) error) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- dom.Run(ctx, dom.Options{State: c.State, Log: logger(cmd.ErrOrStderr(), slog.LevelWarn), Ready: func() { close(ready) }})
	}()
	select {
	case err := <-done:
		return err
	case <-ready:
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "no dom runs on %s: running it here until this is done\n", c.State)
	actErr := act(ctx, c)
	stop()
	return errors.Join(actErr, <-done)
}

func logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// Package demo runs a whole b8s on this one machine: a dom and four subs, each
// with its own state folder and, where the system has them, its own loopback
// address. It is the code of production all through: real enrolment, real
// WireGuard, real bus, real DNS; no root, nothing installed.
package demo

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/config"
	"b8s/dom"
)

//go:embed files
var files embed.FS

// Command is "b8s demo".
func Command() *cobra.Command {
	var check, verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A whole b8s on this machine: one dom, four subs, until Ctrl-C",
		Long: `Starts a dom and four subs on loopback addresses, enrols them, publishes a zone and a
small city database, and shows which sub each of eight cities is sent to.

With --check it proves each line of the table, stops the dom, proves it again,
cold-starts a sub without the dom, proves it again, and exits 0 or 1.`,
		Example: "  b8s demo\n  b8s demo --check",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelError + 1
			if verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return Run(cmd.Context(), cmd.OutOrStdout(), log, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "prove it, with the dom and without, and end")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log what each part does")
	return cmd
}

// stage is a demo that runs.
type stage struct {
	dir   string
	out   io.Writer
	log   *slog.Logger
	dom   *process
	hosts []*host
}

// Run is the demo, until ctx ends, or, with check, until everything is proved.
func Run(ctx context.Context, out io.Writer, log *slog.Logger, check bool) (err error) {
	dir, err := os.MkdirTemp("", "b8s-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{dir: dir, out: out, log: log}
	defer func() { err = errors.Join(err, s.stop()) }()
	began := time.Now()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "one dom, %d subs, enrolled and published in %.1f s\n\n", len(s.hosts), time.Since(began).Seconds())
	if check {
		return s.prove(ctx)
	}
	if err := s.show(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (s *stage) client() dom.Client { return dom.Client{State: filepath.Join(s.dir, "dom")} }

// start runs the dom and the subs, and enrols each sub by the line it prints.
func (s *stage) start(ctx context.Context) (err error) {
	if s.hosts, err = newHosts(s.dir); err != nil {
		return err
	}
	if s.dom, err = startDom(ctx, s.client().State, s.log); err != nil {
		return err
	}
	for i, h := range s.hosts {
		if err := h.start(ctx, s.log); err != nil {
			return err
		}
		invitation := <-h.invited
		req := dom.AddSubRequest{
			Ticket: invitation.Ticket.String(), Port: h.port,
			Coordinates: subs[i].at.String(), Name: h.name, Wait: 10 * time.Second,
		}
		r, err := s.client().AddSub(ctx, req, nil)
		if err != nil {
			return err
		}
		for _, c := range r.Checks {
			if !c.OK {
				return fmt.Errorf("add-sub %s: %s: %s", h.name, c.What, c.Result)
			}
		}
	}
	return nil
}

// publish publishes the sample zone and the city database, as an operator
// would: from files.
func (s *stage) publish(ctx context.Context) error {
	site := filepath.Join(s.dir, "site")
	if err := os.MkdirAll(site, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"b8s.yaml", "example.zone"} {
		text, err := files.ReadFile("files/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(site, name), text, 0o644); err != nil {
			return err
		}
	}
	file, err := config.Load(filepath.Join(site, "b8s.yaml"))
	if err != nil {
		return err
	}
	wish, err := file.Wish()
	if err != nil {
		return err
	}
	published, err := s.client().PublishRecords(ctx, dom.PublishRequest{Wish: wish, Wait: 10 * time.Second}, nil)
	if err != nil {
		return err
	}
	if err := confirmed("publish records", published.Verdict); err != nil {
		return err
	}
	database, err := cityDatabase()
	if err != nil {
		return err
	}
	upload, err := s.client().Upload(bytes.NewReader(database))
	if err != nil {
		return err
	}
	geolite, err := s.client().PublishGeoLite(ctx, dom.GeoLiteRequest{Upload: upload, Wait: 10 * time.Second}, nil)
	if err != nil {
		return err
	}
	return confirmed("publish geolite", geolite.Verdict)
}

func confirmed(what string, v dom.Verdict) error {
	for _, s := range v.Subs {
		if !s.Confirmed {
			return fmt.Errorf("%s: %s: %s", what, s.Sub, s.Reason)
		}
	}
	return nil
}

// show prints where each city is sent, and what to try.
func (s *stage) show(ctx context.Context) error {
	rows := [][]string{{"VISITORS FROM", "NETWORK", "ARE SENT TO", "DISTANCE"}}
	for _, c := range cities {
		answer, err := s.ask(ctx, s.hosts[0], "udp", c)
		if err != nil {
			return err
		}
		name := s.nameOf(answer.Addr)
		rows = append(rows, []string{c.name, c.network.String(), name, distance(c, name)})
	}
	cli.Table(s.out, rows)
	fmt.Fprintf(s.out, "\nAsk yourself, any of the subs:\n\n")
	for i, c := range []city{cities[1], cities[7]} {
		h := s.hosts[i]
		fmt.Fprintf(s.out, "    dig +short @%s -p %d www.example.com A +subnet=%s    # %s\n", h.dns.Addr(), h.dns.Port(), c.network, c.name)
	}
	fmt.Fprintf(s.out, "    dig @%s -p %d example.com SOA +tcp\n", s.hosts[3].dns.Addr(), s.hosts[3].dns.Port())
	fmt.Fprintf(s.out, "\nIs everything as published? Change the zone and publish it again:\n\n")
	fmt.Fprintf(s.out, "    b8s dom status --state %s\n", s.client().State)
	fmt.Fprintf(s.out, "    b8s dom publish records --state %s --config %s\n", s.client().State, filepath.Join(s.dir, "site", "b8s.yaml"))
	fmt.Fprintf(s.out, "\nCtrl-C ends it and removes %s.\n", s.dir)
	return nil
}

// stop ends all that runs, the subs first.
func (s *stage) stop() (err error) {
	for _, h := range s.hosts {
		if h.run != nil {
			err = errors.Join(err, h.run.Stop())
		}
	}
	if s.dom != nil {
		err = errors.Join(err, s.dom.Stop())
	}
	return err
}

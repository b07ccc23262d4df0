package standalone

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Command is the group "zone".
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "zone",
		Short:   "Check and serve zone files on this machine",
		Example: "  b8s zone check example.zone\n  b8s zone serve --listen 127.0.0.1:5330 --zone example.com=example.zone",
	}
	cmd.AddCommand(serveCommand(), checkCommand())
	return cmd
}

func serveCommand() *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve zones as a sub would, without a dom",
		Long: `Serve zones with the nameserver of a sub, without a dom: to try a zone before
it is published, and to measure.

Prints the line "ready" on stdout once it serves. A bad zone is named on stderr
and left out; if no zone is good the exit code is 1. SIGHUP reads all files again
and keeps what is good: a zone that went bad is served as it was. Ctrl-C ends.`,
		Example: `  b8s zone serve --listen 127.0.0.1:5330 --zone example.com=example.zone
  b8s zone serve --listen 127.0.0.1:5330 --zones zones.list
  b8s zone serve --listen 127.0.0.1:5330 --config b8s.yaml --subs subs.yaml --geolite city.mmdb`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.Zones) == 0 && o.ZonesFile == "" && o.Config == "" {
				return usageError{fmt.Errorf("nothing to serve: give --zone, --zones or --config")}
			}
			if o.Subs != "" && o.Config == "" || o.GeoLite != "" && o.Config == "" {
				return usageError{fmt.Errorf("--subs and --geolite are for the sites in --config, which is missing")}
			}
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			o.Ready = func([]netip.AddrPort) { fmt.Fprintln(cmd.OutOrStdout(), "ready") }
			reload, stop := hangups()
			defer stop()
			o.Reload = reload
			return Serve(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.Listen, "listen", nil, "`ADDRESS:PORT` to serve; may be repeated (default port 53 of all addresses)")
	f.StringArrayVar(&o.Zones, "zone", nil, "`ORIGIN=PATH` of a zone file; may be repeated")
	f.StringVar(&o.ZonesFile, "zones", "", "`FILE` with a line \"ORIGIN PATH\" for each zone")
	f.StringVar(&o.Config, "config", "", "b8s.yaml `FILE` whose zones and sites are served")
	f.StringVar(&o.Subs, "subs", "", "subs.yaml `FILE` with the subs that sites are answered with")
	f.StringVar(&o.GeoLite, "geolite", "", "city database `FILE` by which the nearest sub is found")
	f.IntVar(&o.Threads, "threads", 0, "threads for UDP at each address (default one a processor)")
	for _, name := range []string{"zones", "config", "subs", "geolite"} {
		_ = cmd.MarkFlagFilename(name)
	}
	return cmd
}

// usageError is one of the command line: exit code 2.
type usageError struct{ error }

// ExitCode is that of wrong usage.
func (usageError) ExitCode() int { return 2 }

// hangups gives a value for each SIGHUP; those that come while one waits are
// one with it.
func hangups() (reload <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	out := make(chan struct{})
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			select {
			case <-done:
				return
			case out <- struct{}{}:
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}

package verbs

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/control"
	"b8s/place"
	"b8s/sub"
	"b8s/tunnel"
)

func run() *cobra.Command {
	var opts sub.Options
	var ipv4, ipv6 string
	var listen, tunnelAddrs []string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the sub until it is told to end",
		Long: `Answers DNS and follows its dom. The first time, it prints the line to paste on the
dom to enrol it. It serves what it has on disk whether or not the dom is there.`,
		Example: "  b8s sub run\n" +
			"  b8s sub run --ipv4 198.51.100.7 --coordinates -33.87,151.21",
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&ipv4, "ipv4", "", "this server's public IPv4 address, for the add-sub line (default: found on its interfaces)")
	f.StringVar(&ipv6, "ipv6", "", "this server's public IPv6 address, for the add-sub line (default: found on its interfaces)")
	f.StringVar(&opts.Coordinates, "coordinates", "auto", "where this server is, LAT,LON in degrees, for the add-sub line; auto: the dom looks it up")
	f.Uint16Var(&opts.Port, "port", tunnel.DefaultPort, "UDP port of the WireGuard tunnel")
	f.StringSliceVar(&listen, "listen", nil, "ADDRESS:PORT to answer DNS at (default: port 53 of all addresses)")
	f.StringSliceVar(&tunnelAddrs, "tunnel-address", nil, "address that the tunnel listens on (default: all)")
	f.BoolVar(&verbose, "verbose", false, "log each step")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if opts.State, err = cli.StateDir(cmd, "sub"); err != nil {
			return err
		}
		if err := readAddresses(&opts, ipv4, ipv6, listen, tunnelAddrs); err != nil {
			return control.Usage(err, "see b8s sub run --help")
		}
		level := slog.LevelInfo
		if verbose {
			level = slog.LevelDebug
		}
		opts.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
		opts.Invite = func(i sub.Invitation) { printInvitation(cmd.OutOrStdout(), i) }
		opts.Ready = func() {
			if err := cli.NotifyReady(); err != nil {
				opts.Log.Warn("tell systemd that the sub is up", "err", err)
			}
		}
		return sub.Run(cmd.Context(), opts)
	}
	return cmd
}

func readAddresses(opts *sub.Options, ipv4, ipv6 string, listen, tunnelAddrs []string) (err error) {
	if opts.IPv4, err = parseAddr("--ipv4", ipv4, netip.Addr.Is4); err != nil {
		return err
	}
	if opts.IPv6, err = parseAddr("--ipv6", ipv6, netip.Addr.Is6); err != nil {
		return err
	}
	if opts.Coordinates != "auto" {
		if _, err := place.Parse(opts.Coordinates); err != nil {
			return fmt.Errorf("--coordinates: %w", err)
		}
	}
	for _, s := range listen {
		a, err := netip.ParseAddrPort(s)
		if err != nil {
			return fmt.Errorf("--listen %q: want ADDRESS:PORT, as in 198.51.100.7:53 or [2001:db8::7]:53", s)
		}
		opts.DNS = append(opts.DNS, a)
	}
	for _, s := range tunnelAddrs {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("--tunnel-address %q: not an IP address", s)
		}
		opts.TunnelAddrs = append(opts.TunnelAddrs, a)
	}
	return nil
}

func parseAddr(flag, s string, of func(netip.Addr) bool) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !of(a) || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s %q: not an IPv%s address", flag, s, strings.TrimPrefix(flag, "--ipv"))
	}
	return a, nil
}

// printInvitation shows the line to paste on the dom, ready to be copied.
func printInvitation(w io.Writer, i sub.Invitation) {
	fmt.Fprintf(w, "This server's key has the fingerprint %s.\n", i.Fingerprint)
	for _, note := range i.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	fmt.Fprintf(w, "To enrol it, run this on the dom by %s, with a name for NAME:\n\n    %s\n\n", i.Until.Format("15:04:05"), i.Line)
}

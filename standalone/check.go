package standalone

import (
	"errors"
	"fmt"
	"io"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/config"
	"b8s/sub/zone"
	"b8s/zonefile"
)

// CheckResult is what is to be said about a zone file.
type CheckResult struct {
	File     string   `json:"file"`
	Origin   string   `json:"origin"`
	Good     bool     `json:"good"`
	Serial   uint32   `json:"serial,omitempty"`
	Records  int      `json:"records,omitempty"`
	Warnings []string `json:"warnings"` // FILE:LINE: reason
	Errors   []string `json:"errors"`
}

func checkCommand() *cobra.Command {
	var origin string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a zone file alone",
		Long: `Check a zone file alone: everything that would keep it from being served, with
file and line. The origin is that of --origin, else the name of the SOA, which
then must be absolute or behind a $ORIGIN.`,
		Example: "  b8s zone check example.zone\n  b8s zone check --origin example.com example.zone",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			apex, err := originOf(args[0], origin)
			if err != nil {
				return err
			}
			r := Check(apex, args[0])
			if err := cli.Print(cmd, r, r.text); err != nil {
				return err
			}
			if !r.Good {
				return cli.ErrSaid
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&origin, "origin", "", "`NAME` of the zone")
	cli.JSONFlag(cmd)
	return cmd
}

// originOf is the zone's name, as told or as its SOA has it.
func originOf(path, told string) (string, error) {
	if told != "" {
		apex, err := config.ZoneName(told)
		if err != nil {
			return "", usageError{fmt.Errorf("--origin: %w", err)}
		}
		return apex, nil
	}
	found := ""
	err := zonefile.Scan(".", path, func(rr dns.RR, _ string, _ int) error {
		if rr.Header().Rrtype == dns.TypeSOA {
			found = rr.Header().Name
			return io.EOF
		}
		return nil
	})
	switch {
	case found != "" && found != ".":
		return found, nil
	case err != nil && !errors.Is(err, io.EOF):
		return "", err
	}
	return "", usageError{fmt.Errorf("the origin of %s is not in it: give --origin NAME", path)}
}

// Check reads the zone apex from a file and compiles it as a sub would.
func Check(apex, path string) CheckResult {
	r := CheckResult{File: path, Origin: apex, Warnings: []string{}, Errors: []string{}}
	file, err := zonefile.Options{WithoutNS: true}.Read(apex, path)
	if err == nil {
		r.Serial, r.Records = file.Serial(), len(file.Records)
		r.Warnings = append(r.Warnings, file.Warnings...)
		_, err = zone.FromFile(file, nil)
	}
	for _, e := range unjoin(err) {
		r.Errors = append(r.Errors, e.Error())
	}
	r.Good = err == nil
	return r
}

func (r CheckResult) text(w io.Writer) {
	for _, e := range r.Errors {
		fmt.Fprintln(w, e)
	}
	for _, e := range r.Warnings {
		fmt.Fprintf(w, "%s (warning)\n", e)
	}
	if r.Good {
		fmt.Fprintf(w, "%s is good: %d records, serial %d\n", r.Origin, r.Records, r.Serial)
	} else {
		fmt.Fprintf(w, "%s is not good: %d errors\n", r.Origin, len(r.Errors))
	}
}

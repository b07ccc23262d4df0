package verbs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"b8s/citydb"
	"b8s/cli"
	"b8s/config"
	"b8s/control"
	"b8s/dom"
	"b8s/dom/geolite"
	"b8s/human"
)

// publishGeoLite is both "b8s dom publish geolite" and "b8s dom geolite".
func publishGeoLite(use string) *cobra.Command {
	var file, configPath string
	cmd := &cobra.Command{
		Use:   use,
		Short: "Publish the city database that visitors are placed with",
		Long: `Downloads GeoLite2-City from MaxMind, or takes --file; checks it, publishes it, and
waits until every sub answers with it. Account id and licence key come from the
geolite section of b8s.yaml (account, key_file) or from B8S_GEOLITE_ACCOUNT and
B8S_GEOLITE_KEY; once given, the running dom refreshes the database weekly.`,
		Example: "  b8s dom geolite --file GeoLite2-City.mmdb\n" +
			"  B8S_GEOLITE_ACCOUNT=123456 B8S_GEOLITE_KEY=$(cat key) b8s dom publish geolite",
		Args: cobra.NoArgs,
	}
	wait := cmd.Flags().Duration("wait", 2*time.Minute, "how long to wait for every sub to confirm")
	cmd.Flags().StringVar(&file, "file", "", "a .mmdb or .tar.gz to publish instead of a download")
	cmd.Flags().StringVar(&configPath, "config", "", "configuration file (default ./b8s.yaml, or the nearest above)")
	cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			req := dom.GeoLiteRequest{Wait: *wait}
			var err error
			if file != "" {
				req.Upload, err = uploadDatabase(c, file)
			} else {
				req.Credentials, err = credentials(configPath)
			}
			if err != nil {
				return err
			}
			show := newFollower(cmd)
			r, err := c.PublishGeoLite(ctx, req, show.event)
			show.done()
			if err != nil {
				return err
			}
			return printGeoLite(cmd, r)
		})
	}
	return cmd
}

// uploadDatabase checks the file here, where its name means something, and
// hands its database to the dom.
func uploadDatabase(c dom.Client, file string) (name string, err error) {
	scratch, err := os.MkdirTemp("", "b8s-geolite-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	db, err := geolite.FromFile(file, scratch, citydb.Limits{})
	if err != nil {
		return "", err
	}
	f, err := os.Open(db.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return c.Upload(f)
}

// credentials are those of b8s.yaml, each that is missing there from the
// environment; nil leaves it to the dom to use the ones that it was given before.
func credentials(configPath string) (*dom.GeoLiteCredentials, error) {
	file, err := loadConfig(configPath)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && configPath != "":
		return nil, control.Usage(err, "name another with --config")
	case err != nil && !missing:
		return nil, err
	}
	section := &config.GeoLite{}
	if file != nil && file.GeoLite != nil {
		section = file.GeoLite
	}
	c := &dom.GeoLiteCredentials{Account: strings.TrimSpace(os.Getenv(geolite.AccountEnv)), Key: strings.TrimSpace(os.Getenv(geolite.KeyEnv)), URL: section.URL}
	if c.URL == "" && section.Edition != "" {
		c.URL = strings.Replace(geolite.DefaultURL, "GeoLite2-City", section.Edition, 1)
	}
	if section.Account != 0 {
		c.Account = strconv.FormatUint(section.Account, 10)
	}
	if section.KeyFile != "" {
		if c.Key, err = readKey(section.KeyFile); err != nil {
			return nil, control.Usage(fmt.Errorf("%s: key_file: %w", section.At, err), "")
		}
	}
	switch {
	case c.Account == "" && c.Key == "":
		return nil, nil
	case c.Account == "":
		return nil, control.Usage(errors.New("a GeoLite licence key is given, and no account"), "account: in the geolite section of b8s.yaml, or "+geolite.AccountEnv)
	case c.Key == "":
		return nil, control.Usage(errors.New("a GeoLite account is given, and no licence key"), "key_file: in the geolite section of b8s.yaml, or "+geolite.KeyEnv)
	}
	return c, nil
}

func printGeoLite(cmd *cobra.Command, r dom.GeoLiteResult) error {
	if err := cli.Print(cmd, r, func(w io.Writer) {
		for _, warning := range r.Warnings {
			fmt.Fprintln(w, "warning:", warning)
		}
		fmt.Fprintf(w, "%s of %s, %s, digest %.12s\n", r.Type, r.Built.Format("2006-01-02"), human.Bytes(r.Size), r.Digest)
		if r.Unchanged {
			fmt.Fprintln(w, "this database was published already")
		}
		printVerdict(w, r.Verdict)
	}); err != nil {
		return err
	}
	return verdictError(r.Verdict, false)
}

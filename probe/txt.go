package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// TXT is what one nameserver said when asked for the TXT records at a name.
type TXT struct {
	Values        []string // each record's strings joined; none is an answer too
	Authoritative bool     // false: not a nameserver of the zone, or not the one asked
}

// AskTXT asks the nameserver at server, once by UDP, and by TCP if the answer
// doesn't fit. No answer within timeout, or one that isn't about the name, such
// as REFUSED, is an error.
func AskTXT(ctx context.Context, server netip.AddrPort, name string, timeout time.Duration) (TXT, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := exchange(ctx, server, plainQuestion(name, dns.TypeTXT), timeout)
	if err != nil {
		return TXT{}, err
	}
	return readTXT(m, name)
}

// AskTXTOver asks over an open stream connection, such as one through a
// tunnel, and leaves it open.
func AskTXTOver(ctx context.Context, conn net.Conn, name string) (TXT, error) {
	m, err := askOver(ctx, conn, plainQuestion(name, dns.TypeTXT))
	if err != nil {
		return TXT{}, err
	}
	return readTXT(m, name)
}

// askOver puts one question over an open stream, until ctx ends or timeout.
func askOver(ctx context.Context, conn net.Conn, question *dns.Msg) (*dns.Msg, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client := dns.Client{Net: "tcp", Timeout: timeout}
	m, _, err := client.ExchangeWithConn(question, &dns.Conn{Conn: conn})
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return m, nil
}

func plainQuestion(name string, qtype uint16) *dns.Msg {
	question := new(dns.Msg).SetQuestion(name, qtype)
	question.RecursionDesired = false
	question.SetEdns0(1232, false)
	return question
}

// exchange asks by UDP, and by TCP when the answer was cut.
func exchange(ctx context.Context, server netip.AddrPort, question *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	client := dns.Client{Net: "udp", Timeout: timeout}
	m, _, err := client.ExchangeContext(ctx, question, server.String())
	if err == nil && m.Truncated {
		client.Net = "tcp"
		m, _, err = client.ExchangeContext(ctx, question, server.String())
	}
	return m, err
}

// readTXT collects the records at name, and at what it is an alias for within
// the answer.
func readTXT(m *dns.Msg, name string) (said TXT, err error) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return said, errors.New("answered " + dns.RcodeToString[m.Rcode])
	}
	said.Authoritative = m.Authoritative
	for _, rr := range m.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, name) {
			name = alias.Target
		}
		if txt, ok := rr.(*dns.TXT); ok && strings.EqualFold(txt.Hdr.Name, name) {
			said.Values = append(said.Values, strings.Join(txt.Txt, ""))
		}
	}
	return said, nil
}

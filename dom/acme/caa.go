package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"b8s/probe"
)

// ErrForbidden is in the error of an order that CAA records forbid.
var ErrForbidden = errors.New("forbidden by CAA")

// checkCAA looks, before an order, whether the names' CAA records (RFC 8659,
// RFC 8657) let the authority issue: a refusal there costs one of its few
// failed attempts. That the records can't be read is said, and no refusal; the
// authority reads them itself.
func (j *job) checkCAA(ctx context.Context, c *client, names []string) error {
	identities := c.GetDirectory().Meta.CaaIdentities
	if len(identities) == 0 {
		return nil // nothing that a record could name
	}
	asked := make(map[string]relevant)
	for _, name := range names {
		base, wildcard := strings.CutPrefix(name, "*.")
		set, ok := asked[base]
		if !ok {
			set.owner, set.records, set.err = j.relevantCAA(ctx, base)
			asked[base] = set
		}
		if set.err != nil {
			j.event(StepCAA, "can't be read, goes on without", set.err)
			continue
		}
		if why := permits(set.records, identities, wildcard, c.account); why != "" {
			return fmt.Errorf("%s: %w: %s of %s: change that record, or use another authority", name, ErrForbidden, why, set.owner)
		}
	}
	return ctx.Err()
}

type relevant struct {
	owner   string
	records []probe.CAA
	err     error
}

// relevantCAA climbs from name to the first ancestor that has records (RFC
// 8659 section 3).
func (j *job) relevantCAA(ctx context.Context, name string) (owner string, records []probe.CAA, err error) {
	for name != "" {
		records, err = j.DNS.CAA(ctx, name+".")
		if err != nil || len(records) > 0 {
			return name, records, err
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return "", nil, nil
}

// permits says what in the relevant records stands against an authority with
// the given identities; "" if nothing does.
func permits(records []probe.CAA, identities []string, wildcard bool, account string) string {
	var issue, issuewild []string
	for _, r := range records {
		switch strings.ToLower(r.Tag) {
		case "issue":
			issue = append(issue, r.Value)
		case "issuewild":
			issuewild = append(issuewild, r.Value)
		case "iodef", "issuemail", "contactemail", "contactphone":
		default:
			if r.Critical {
				return fmt.Sprintf("the unknown critical property %q", r.Tag)
			}
		}
	}
	values, tag := issue, "issue"
	if wildcard && len(issuewild) > 0 {
		values, tag = issuewild, "issuewild"
	}
	if len(values) == 0 {
		return ""
	}
	for _, v := range values {
		if grants(v, identities, account) {
			return ""
		}
	}
	return fmt.Sprintf("%s %q", tag, values)
}

// grants says whether one issue or issuewild value is for an authority with
// one of identities, dns-01 and the account.
func grants(value string, identities []string, account string) bool {
	domain, parameters, ok := parseIssue(value)
	if !ok || !slices.ContainsFunc(identities, func(id string) bool { return strings.EqualFold(id, domain) }) {
		return false
	}
	if methods, limited := parameters["validationmethods"]; limited && !slices.Contains(strings.Split(methods, ","), "dns-01") {
		return false
	}
	uri, limited := parameters["accounturi"]
	return !limited || uri == account
}

// parseIssue reads the value of issue and issuewild (RFC 8659 section 4.2): a
// domain, perhaps empty, and parameters after semicolons. ok is false for
// what the grammar doesn't allow, which permits nobody.
func parseIssue(value string) (domain string, parameters map[string]string, ok bool) {
	head, rest, _ := strings.Cut(value, ";")
	domain = strings.ToLower(strings.Trim(head, " \t"))
	if domain != "" && checkName(domain) != nil || strings.HasPrefix(domain, "*") {
		return "", nil, false
	}
	parameters = make(map[string]string)
	for part := range strings.SplitSeq(rest, ";") {
		part = strings.Trim(part, " \t")
		if part == "" {
			continue
		}
		tag, v, found := strings.Cut(part, "=")
		tag, v = strings.ToLower(strings.TrimRight(tag, " \t")), strings.TrimLeft(v, " \t")
		if _, twice := parameters[tag]; !found || twice || !validParameter(tag, v) {
			return "", nil, false
		}
		parameters[tag] = v
	}
	return domain, parameters, true
}

// validParameter holds a parameter to its grammar: the tag is letters, digits
// and inner hyphens, the value printable ASCII without blanks.
func validParameter(tag, value string) bool {
	if !validLabel(tag) {
		return false
	}
	for _, r := range value {
		if r < 0x21 || r > 0x7e {
			return false
		}
	}
	return true
}

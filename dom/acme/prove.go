package acme

import (
	"context"
	"fmt"
	"slices"

	legoacme "github.com/go-acme/lego/v4/acme"
)

// prove presents a value for each authorization that isn't valid yet, waits
// until every nameserver answers it, and then tells the authority to look.
// Values stay presented when the order is put off, so that a slow secondary
// can catch up.
func (j *job) prove(ctx context.Context, c *client, p *pending, order legoacme.ExtendedOrder) error {
	challenges, wanted, err := j.challenges(ctx, c, p, order)
	if err != nil || len(wanted) == 0 {
		return err
	}
	j.event(StepPresent, "presents "+counted(len(p.Answers), "value"), nil)
	point("before presenting")
	until := j.Clock.Now().Add(presentFor)
	for owner, values := range wanted {
		if err := j.Challenges.Present(ctx, owner, values, until); err != nil {
			return fmt.Errorf("present the challenge at %s: %w", owner, err)
		}
	}
	point("after presenting")
	if err := j.ready(ctx, wanted); err != nil {
		return err
	}
	for _, u := range challenges {
		point("before the challenge")
		if _, err := c.Core.Challenges.New(u); err != nil {
			return j.refused(ctx, c, p, "answer a challenge of", err)
		}
		point("after the challenge")
	}
	j.event(StepValidate, "the authority looks", nil)
	return nil
}

// challenges returns what is to be answered: the URLs, and the values by
// owner. They are saved, to be removed even after a kill.
func (j *job) challenges(ctx context.Context, c *client, p *pending, order legoacme.ExtendedOrder) (urls []string, wanted map[string][]string, err error) {
	wanted = make(map[string][]string)
	known := len(p.Answers)
	for _, u := range order.Authorizations {
		authz, err := c.Authorizations.Get(u)
		if err != nil {
			return nil, nil, c.failure("read an authorization at", err)
		}
		if authz.Status != legoacme.StatusPending {
			continue
		}
		challenge, value, err := c.answer(authz)
		if err != nil {
			return nil, nil, failureOf(err, c.ca.directory(), 0)
		}
		owner, err := j.owner(ctx, authz.Identifier.Value)
		if err != nil {
			return nil, nil, err
		}
		if a := (answer{owner, value}); !slices.Contains(p.Answers, a) {
			p.Answers = append(p.Answers, a)
		}
		wanted[owner] = append(wanted[owner], value)
		if challenge.Status == legoacme.StatusPending {
			urls = append(urls, challenge.URL)
		}
	}
	if len(p.Answers) == known {
		return urls, wanted, nil
	}
	return urls, wanted, j.keepPending(p)
}

// owner returns where the authority will look for domain's value: at
// _acme-challenge below it, or where that is an alias for.
func (j *job) owner(ctx context.Context, domain string) (string, error) {
	first := "_acme-challenge." + domain + "."
	name := first
	for range maxAliases {
		target, err := j.DNS.CNAME(ctx, name)
		if err != nil {
			return "", fmt.Errorf("follow the alias at %s: %w", name, err)
		}
		if target == "" {
			return name, nil
		}
		name = target
	}
	return "", fmt.Errorf("follow the alias at %s: more than %d in a row: is it a loop?", first, maxAliases)
}

// withdraw removes the values of p. One that can't be removed runs out by
// itself, so that is no failure.
func (j *job) withdraw(ctx context.Context, p *pending) {
	owners := make(map[string][]string)
	for _, a := range p.Answers {
		owners[a.Owner] = append(owners[a.Owner], a.Value)
	}
	for owner, values := range owners {
		if err := j.Challenges.Remove(ctx, owner, values); err != nil {
			j.Log.Warn("challenge is not removed, and runs out by itself", "certificate", j.cert.name, "owner", owner, "err", err)
		}
	}
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

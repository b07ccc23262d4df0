package acme

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	legoacme "github.com/go-acme/lego/v4/acme"
)

// account is ours at one authority.
type account struct {
	URL   string
	CA    string // directory
	Email string
	key   crypto.Signer
}

// accounts has a lock for each account, so that orders in parallel don't
// register it twice.
type accounts struct {
	mu    sync.Mutex
	locks map[string]*sync.Mutex
}

func (a *accounts) lock(id string) (unlock func()) {
	a.mu.Lock()
	if a.locks == nil {
		a.locks = make(map[string]*sync.Mutex)
	}
	l := a.locks[id]
	if l == nil {
		l = new(sync.Mutex)
		a.locks[id] = l
	}
	a.mu.Unlock()
	l.Lock()
	return l.Unlock
}

// accountID names the folder: one account for each authority and binding.
func (c CA) accountID() string {
	sum := sha256.Sum256([]byte(c.directory() + "\n" + c.Binding.KeyID))
	return hex.EncodeToString(sum[:8])
}

// signIn opens c with its account. The account is registered first if it
// isn't, and told a new e-mail address.
func (m *Manager) signIn(c *client) error {
	a, err := m.accountOf(c)
	if err != nil {
		return err
	}
	c.account = a.URL
	return c.open(a)
}

// accountOf returns the account, registered and up to date. Orders in parallel
// wait here for the first one to register.
func (m *Manager) accountOf(c *client) (*account, error) {
	id := c.ca.accountID()
	defer m.accounts.lock(id)()
	a, err := m.loadAccount(id)
	if err != nil || a.URL != "" && a.Email == c.ca.Email {
		return a, err
	}
	if a.URL != "" {
		err = c.tellEmail(a)
	}
	if a.URL == "" || problemType(err, "accountDoesNotExist") {
		err = c.register(a)
	}
	if err != nil {
		return nil, err
	}
	a.CA, a.Email = c.ca.directory(), c.ca.Email
	return a, save(m.files.account(id, "account.json"), a)
}

// forgetAccount makes the next signIn register again with the same key, for an
// authority that has lost its accounts.
func (m *Manager) forgetAccount(ca CA) error {
	id := ca.accountID()
	defer m.accounts.lock(id)()
	return remove(m.files.account(id, "account.json"))
}

// loadAccount reads the account, and makes and saves its key if there is none.
func (m *Manager) loadAccount(id string) (*account, error) {
	a := new(account)
	text, err := os.ReadFile(m.files.account(id, "key.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		a.key, err = m.newAccountKey(id)
		return a, err
	}
	if err != nil {
		return nil, err
	}
	if a.key, err = parseKey(text); err != nil {
		return nil, fmt.Errorf("read the account's key %s: %w", m.files.account(id, "key.pem"), err)
	}
	_, err = read(m.files.account(id, "account.json"), a)
	return a, err
}

func (m *Manager) newAccountKey(id string) (crypto.Signer, error) {
	key, err := EC256.generate()
	if err != nil {
		return nil, err
	}
	text, err := marshalKey(key)
	if err != nil {
		return nil, err
	}
	return key, saveText(m.files.account(id, "key.pem"), text.pem)
}

// register makes the account, or finds the one that this key already has.
func (c *client) register(a *account) error {
	if err := c.open(&account{key: a.key}); err != nil {
		return err
	}
	ask := legoacme.Account{TermsOfServiceAgreed: true, Contact: c.ca.contact()}
	point("before registering")
	var made legoacme.ExtendedAccount
	var err error
	if b := c.ca.Binding; b.KeyID != "" {
		made, err = c.Accounts.NewEAB(ask, b.KeyID, string(b.HMAC))
	} else {
		made, err = c.Accounts.New(ask)
	}
	point("after registering")
	if problemType(err, "externalAccountRequired") {
		return fmt.Errorf("%w: set the binding's key id and hmac key that the authority gave you", tidy(err))
	}
	if err == nil && made.Location == "" {
		err = errors.New("the authority told no account URL")
	}
	a.URL = made.Location
	return err
}

// tellEmail changes the account's contact. The library can't say that there is
// none any more.
func (c *client) tellEmail(a *account) error {
	if err := c.open(a); err != nil {
		return err
	}
	_, err := c.Accounts.Update(a.URL, legoacme.Account{Contact: c.ca.contact()})
	return err
}

func (c CA) contact() []string {
	if c.Email == "" {
		return []string{}
	}
	return []string{"mailto:" + c.Email}
}

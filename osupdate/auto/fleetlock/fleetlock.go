// Package fleetlock asks a server of the FleetLock protocol for a slot before a machine
// is restarted, and gives it back when the machine has proven itself. Such servers are
// airlock, which keeps its slots in etcd, poseidon's fleetlock, and others.
//
// It holds nothing and waits for nothing: whether a slot is held is for the caller to
// remember, and when to ask again is for the caller to decide. It has the standard
// library alone.
package fleetlock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	maxAnswer = 64 << 10
	maxValue  = 300
	maxID     = 128
	patience  = 30 * time.Second // airlock waits 3 s for its etcd
)

// Client speaks for one host.
type Client struct {
	base      *url.URL
	id, group string
	http      http.Client
}

// groupForm is that of the protocol.
var groupForm = regexp.MustCompile(`^[a-zA-Z0-9.-]+$`)

// New makes a client of the server at base, for the host id of a group. transport may be
// nil.
func New(base, group, id string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("the address %q of the lock does not begin with http:// or https://", base)
	case !groupForm.MatchString(group):
		return nil, fmt.Errorf("the group %q has other characters than letters, digits, - and .", group)
	case id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, fmt.Errorf("%q is no id of a host", id)
	}
	c := &Client{base: u, id: id, group: group, http: http.Client{Transport: transport}}
	// A redirect would lose the request's body or header, or take it elsewhere.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Refusal is a server's word that there is no slot, or that something is wrong with the
// request. Servers do not agree on the codes: of all, later may be asked again.
type Refusal struct {
	Status int
	Kind   string // the server's word for the cause; may be empty
	Value  string // its sentence; may be empty
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("it answers %d %s", r.Status, http.StatusText(r.Status))
	switch {
	case r.Value != "":
		return text + ": " + r.Value
	case r.Kind != "":
		return text + ": " + r.Kind
	}
	return text
}

// Mistaken says whether the server finds fault with the request, which waiting does not
// mend: a group or a host that it does not know.
func (r *Refusal) Mistaken() bool {
	return r.Status >= 300 && r.Status < 500 && r.Status != http.StatusLocked && r.Status != http.StatusConflict &&
		r.Status != http.StatusTooManyRequests && r.Status != http.StatusRequestTimeout
}

// ErrAnswer is an answer of something that is no FleetLock server.
var ErrAnswer = errors.New("it is no FleetLock server")

// Lock asks for a slot; nil: this host has one, perhaps since long. Else a *Refusal,
// ErrAnswer, or an error of the network: then the host may have one all the same.
func (c *Client) Lock(ctx context.Context) error { return c.post(ctx, "pre-reboot") }

// Unlock gives the slot back; nil: this host has none. Errors are those of Lock.
func (c *Client) Unlock(ctx context.Context) error { return c.post(ctx, "steady-state") }

func (c *Client) post(ctx context.Context, what string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var body struct {
		Params struct {
			ID    string `json:"id"`
			Group string `json:"group"`
		} `json:"client_params"`
	}
	body.Params.ID, body.Params.Group = c.id, c.group
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("v1", what).String(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tbx")
	req.Header.Set("Fleet-Lock-Protocol", "true")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	kind, _, typeErr := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusOK && typeErr == nil && strings.Contains(kind, "html"):
		// A page of sign-in that a network shows in the place of everything.
		return fmt.Errorf("%w: it answers with a page", ErrAnswer)
	case resp.StatusCode == http.StatusOK && err != nil: // it was not told to the end
		return err
	case resp.StatusCode == http.StatusOK:
		return nil
	}
	return refusal(resp.StatusCode, said)
}

func refusal(status int, said []byte) error {
	r := &Refusal{Status: status}
	var body struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}
	if json.Unmarshal(said, &body) == nil {
		r.Kind, r.Value = short(body.Kind), short(body.Value)
	}
	return r
}

func short(text string) string {
	if len(text) <= maxValue {
		return text
	}
	return strings.ToValidUTF8(text[:maxValue], "") + "…"
}

package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parlance-im/parlance/im/account"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// ErrNoServer says that nobody answers on the socket.
var ErrNoServer = errors.New("api: no server runs here")

// Client is the operator's end. Its methods are those of account.Store, with
// the same errors.
type Client struct {
	http   *http.Client
	Status Status // as the server said when it was dialled
}

// Dial connects to the server on the socket at path; ErrNoServer if none runs.
func Dial(ctx context.Context, path string) (*Client, error) {
	first, err := dial(ctx, path)
	if err != nil {
		return nil, errors.Join(ErrNoServer, err)
	}
	if err := first.Close(); err != nil {
		return nil, fmt.Errorf("api: dial: %w", err)
	}
	c := &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
	}}}
	if err := c.do(ctx, http.MethodGet, "/v1/status", nil, &c.Status); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// send makes a request; the caller closes the body.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, body)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	if text, ok := plainText(res); ok {
		return nil, errors.New("api: the server says: " + text)
	}
	var p problem
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(&p); err != nil {
		return nil, fmt.Errorf("api: the server answers %s", res.Status)
	}
	return nil, p.err()
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("api: %w", err)
		}
		body = bytes.NewReader(b)
	}
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
	} else {
		err = json.NewDecoder(res.Body).Decode(out)
	}
	if err != nil {
		return fmt.Errorf("api: answer: %w", err)
	}
	return nil
}

func userPath(who jid.JID) string { return "/v1/users/" + url.PathEscape(who.String()) }

// Get reads one account.
func (c *Client) Get(ctx context.Context, who jid.JID) (account.Account, error) {
	var u user
	if err := c.do(ctx, http.MethodGet, userPath(who), nil, &u); err != nil {
		return account.Account{}, err
	}
	return u.account()
}

// List reads up to n accounts after an address.
func (c *Client) List(ctx context.Context, after string, n int) ([]account.Account, error) {
	q := url.Values{"after": {after}, "n": {strconv.Itoa(n)}}
	var page []user
	if err := c.do(ctx, http.MethodGet, "/v1/users?"+q.Encode(), nil, &page); err != nil {
		return nil, err
	}
	var out []account.Account
	for _, u := range page {
		a, err := u.account()
		if err != nil {
			return nil, fmt.Errorf("api: answer: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Create adds an account.
func (c *Client) Create(ctx context.Context, who jid.JID, password string, o account.Options) error {
	return c.do(ctx, http.MethodPost, "/v1/users", addRequest{who.String(), password, o.Name, o.Admin}, nil)
}

// SetPassword replaces a password.
func (c *Client) SetPassword(ctx context.Context, who jid.JID, password string) error {
	return c.do(ctx, http.MethodPost, userPath(who)+"/password", passwordRequest{password}, nil)
}

// Disable locks an account out or lets it in again.
func (c *Client) Disable(ctx context.Context, who jid.JID, disabled bool) error {
	return c.do(ctx, http.MethodPatch, userPath(who), changeRequest{Disabled: &disabled}, nil)
}

// SetAdmin gives or takes the right to administer.
func (c *Client) SetAdmin(ctx context.Context, who jid.JID, admin bool) error {
	return c.do(ctx, http.MethodPatch, userPath(who), changeRequest{Admin: &admin}, nil)
}

// SetName changes how the person is called.
func (c *Client) SetName(ctx context.Context, who jid.JID, name string) error {
	return c.do(ctx, http.MethodPatch, userPath(who), changeRequest{Name: &name}, nil)
}

// Remove deletes an account.
func (c *Client) Remove(ctx context.Context, who jid.JID) error {
	return c.do(ctx, http.MethodDelete, userPath(who), nil, nil)
}

// Import sends a file and reports as account.Store.Import does. The domain is
// the server's.
func (c *Client) Import(ctx context.Context, r io.Reader, o account.Import) (account.Progress, error) {
	q := url.Values{}
	if o.Iterations != 0 {
		q.Set("iterations", strconv.Itoa(o.Iterations))
	}
	if o.Size > 0 {
		q.Set("size", strconv.FormatInt(o.Size, 10))
	}
	res, err := c.send(ctx, http.MethodPost, "/v1/import?"+q.Encode(), io.NopCloser(r))
	if err != nil {
		return account.Progress{}, err
	}
	defer res.Body.Close()
	return follow(res.Body, o)
}

// follow reads the events of an import up to its end.
func follow(r io.Reader, o account.Import) (last account.Progress, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return last, fmt.Errorf("api: answer: %w", err)
		}
		switch {
		case e.Progress != nil:
			last = *e.Progress
			if o.Progress != nil {
				o.Progress(last)
			}
		case e.Bad != nil:
			if o.Bad != nil {
				o.Bad(e.Bad.Line, e.Bad.Why)
			}
		case e.Done != nil:
			return *e.Done, nil
		case e.Error != "":
			return last, errors.New(e.Error)
		}
	}
	if err := lines.Err(); err != nil {
		return last, fmt.Errorf("api: answer: %w", err)
	}
	return last, errors.New("api: the server stopped before the import was done")
}

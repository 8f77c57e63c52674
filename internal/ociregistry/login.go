package ociregistry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// authorize answers a challenge (RFC 7235) with the header for the next try.
func (r Repository) authorize(ctx context.Context, challenge string) (string, error) {
	scheme, rest, _ := strings.Cut(challenge, " ")
	if strings.EqualFold(scheme, "Basic") && r.Login != nil {
		return r.Login.basic(), nil
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fmt.Errorf("%w (%s)", ErrChallenge, scheme)
	}
	params := challengeParams(rest)
	realm, err := url.Parse(params["realm"])
	if err != nil || realm.Host == "" || realm.Scheme != "https" && !r.Insecure {
		return "", fmt.Errorf("%w, and tokens come from %q", ErrChallenge, params["realm"])
	}
	query := realm.Query()
	if params["service"] != "" {
		query.Set("service", params["service"])
	}
	query.Set("scope", "repository:"+r.Path+":pull")
	realm.RawQuery = query.Encode()
	header := http.Header{}
	if r.Login != nil {
		header.Set("Authorization", r.Login.basic())
	}
	resp, err := r.request(ctx, http.MethodGet, strings.TrimPrefix(realm.String(), realm.Scheme+"://"), header)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", &StatusError{Code: resp.StatusCode, Status: resp.Status, Token: true}
	}
	var answer struct {
		Token       string
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(resp.body, &answer); err != nil || answer.Token+answer.AccessToken == "" {
		return "", ErrToken
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	return "Bearer " + answer.Token, nil
}

func (l *Login) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(l.User+":"+l.Password))
}

// challengeParams reads key="value" pairs; values hold no escapes in practice.
func challengeParams(s string) map[string]string {
	out := map[string]string{}
	for s != "" {
		key, rest, ok := strings.Cut(strings.TrimLeft(s, ", "), "=\"")
		if !ok {
			break
		}
		var value string
		value, s, _ = strings.Cut(rest, `"`)
		out[strings.ToLower(key)] = value
	}
	return out
}

//go:build remote

package podman

import "net/http"

// rewinding sends the whole body of a request each time: if podman's service did not
// answer, the bindings send a request again, but only with the unread rest of its body.
type rewinding struct{ http.RoundTripper }

func (r rewinding) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = body
	}
	return r.RoundTripper.RoundTrip(req)
}

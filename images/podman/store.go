// Package podman implements images.Store over the REST service of podman 4.3
// and later, and with the podman command for what the service cannot do: a pull
// under another signature policy, taking away a name with a digest, and a build.
//
// Of the bindings it takes only the error model, and declares the few fields
// that it reads: their images package drops the bytes of a pull, and it and
// specgen cost every start 2 ms of initialisers. It must not start a service or
// choose a socket.
package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containers/podman/v4/pkg/errorhandling"
	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// Store talks to one podman service. Its methods may be called concurrently.
type Store struct{ client *http.Client }

var _ images.Store = (*Store)(nil)

// New takes a client whose connections all lead to the podman service.
func New(client *http.Client) *Store { return &Store{client} }

// The oldest versions of the interfaces that have these requests; podman serves all
// newer ones too.
const (
	libpod = "http://d/v4.0.0/libpod"
	compat = "http://d/v1.40"
)

// request is one request to the service.
type request struct {
	method, address string
	query           url.Values
	header          http.Header
	body            io.Reader
}

// call sends one request. The caller closes the body of the answer, whose
// status is 2xx or 3xx; any other becomes a *errorhandling.ErrorModel.
func (s *Store) call(ctx context.Context, r request) (*http.Response, error) {
	if len(r.query) > 0 {
		r.address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.address, r.body)
	if err != nil {
		return nil, err
	}
	for key, values := range r.header {
		req.Header[key] = values
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var uerr *url.Error
		if errors.As(err, &uerr) { // its address is ours and says nothing to a user
			err = uerr.Err
		}
		return nil, fmt.Errorf("podman service: %w", err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	model := &errorhandling.ErrorModel{ResponseCode: resp.StatusCode}
	if err := json.NewDecoder(resp.Body).Decode(model); err != nil || model.Message == "" {
		return nil, fmt.Errorf("podman service: %s", resp.Status)
	}
	return nil, model
}

// exchange sends one request and decodes the answer, which is small JSON, into out;
// nil: nobody reads it.
func (s *Store) exchange(ctx context.Context, r request, out any) error {
	resp, err := s.call(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("podman service: its answer to %s: %w", r.address, err)
	}
	return nil
}

func status(err error) int {
	var model *errorhandling.ErrorModel
	if errors.As(err, &model) {
		return model.ResponseCode
	}
	return 0
}

// Inspect implements images.Store.
func (s *Store) Inspect(ctx context.Context, ref string) (images.Image, error) {
	// The fields of podman's ImageData (libpod/define) that we read.
	var data struct {
		ID           string `json:"Id"`
		RepoTags     []string
		RepoDigests  []string
		Created      *time.Time
		Size         int64
		Os           string
		Architecture string
		Config       struct {
			User       string
			Env        []string
			Cmd        []string
			Entrypoint []string
			Labels     map[string]string
		}
	}
	err := s.exchange(ctx, request{method: http.MethodGet, address: libpod + "/images/" + url.PathEscape(ref) + "/json"}, &data)
	if status(err) == http.StatusNotFound {
		return images.Image{}, fail.New(fail.NotFound, "image %s: it is not in the local store", escape.Text(ref))
	}
	if err != nil {
		return images.Image{}, fmt.Errorf("image %s: %w", escape.Text(ref), err)
	}
	img := images.Image{
		ID: data.ID, Names: data.RepoTags, Digests: data.RepoDigests, Size: data.Size, OS: data.Os, Arch: data.Architecture,
		User: data.Config.User, Env: data.Config.Env, Cmd: data.Config.Cmd, Entrypoint: data.Config.Entrypoint, Labels: data.Config.Labels,
	}
	if data.Created != nil {
		img.Created = *data.Created
	}
	return img, nil
}

// List implements images.Store with one request.
func (s *Store) List(ctx context.Context) ([]images.Image, error) {
	var list []struct {
		ID          string `json:"Id"`
		Names       []string
		RepoDigests []string
		Created     int64
		Size        int64
		Labels      map[string]string
	}
	if err := s.exchange(ctx, request{method: http.MethodGet, address: libpod + "/images/json"}, &list); err != nil {
		return nil, fmt.Errorf("list of images: %w", err)
	}
	out := make([]images.Image, len(list))
	for i, l := range list {
		out[i] = images.Image{ID: l.ID, Names: l.Names, Digests: l.RepoDigests, Created: time.Unix(l.Created, 0).UTC(),
			Size: l.Size, Labels: l.Labels}
	}
	return out, nil
}

// Users implements images.Store. The containers of builds that were interrupted
// count: podman removes no image that one of them is made from.
func (s *Store) Users(ctx context.Context) (map[string][]string, error) {
	var list []struct {
		ImageID string
		Names   []string
	}
	all := request{method: http.MethodGet, address: libpod + "/containers/json", query: url.Values{"all": {"true"}, "external": {"true"}}}
	if err := s.exchange(ctx, all, &list); err != nil {
		return nil, fmt.Errorf("list of containers: %w", err)
	}
	out := map[string][]string{}
	for _, c := range list {
		out[c.ImageID] = append(out[c.ImageID], c.Names...)
	}
	return out, nil
}

// Remove implements images.Store.
func (s *Store) Remove(ctx context.Context, ref string) error {
	err := s.exchange(ctx, request{method: http.MethodDelete, address: libpod + "/images/" + url.PathEscape(ref)}, nil)
	switch {
	case status(err) == http.StatusNotFound:
		return fail.New(fail.NotFound, "image %s: it is not in the local store", escape.Text(ref))
	case err != nil:
		return fmt.Errorf("image %s: remove: %w", escape.Text(ref), err)
	}
	return nil
}

// Tag implements images.Store.
func (s *Store) Tag(ctx context.Context, id, ref string) error {
	parsed, err := images.ParseRef(ref)
	if err != nil {
		return err
	}
	if parsed.Tag == "" {
		parsed.Tag = "latest"
	}
	query := url.Values{"repo": {parsed.Name()}, "tag": {parsed.Tag}}
	tag := request{method: http.MethodPost, address: libpod + "/images/" + url.PathEscape(id) + "/tag", query: query}
	if err := s.exchange(ctx, tag, nil); err != nil {
		return fmt.Errorf("image %s: tag %s: %w", escape.Text(id), ref, err)
	}
	return nil
}

// Untag implements images.Store by the podman command: the service knows no names
// with a digest.
func (s *Store) Untag(ctx context.Context, id, ref string) error {
	if out, err := hostprog.Podman(ctx, "untag", id, ref).CombinedOutput(); err != nil {
		return fmt.Errorf("image %s: untag %s: %w: %s", escape.Text(id), ref, err, escape.Text(strings.TrimSpace(string(out))))
	}
	return nil
}

// Free implements images.Store.
func (s *Store) Free(ctx context.Context) (int64, error) {
	g, err := s.graph(ctx)
	return g.free, err
}

// PrepareCost implements images.Store. Root's toolboxes have no user namespace, and
// fuse-overlayfs shows files as another user's without copying them.
func (s *Store) PrepareCost(ctx context.Context, img images.Image) (int64, error) {
	if os.Geteuid() == 0 {
		return 0, nil
	}
	g, err := s.graph(ctx)
	if err != nil || g.shifts || g.prepared(img.ID) {
		return 0, err
	}
	return img.Size, nil
}

// graph is where and how the store keeps layers.
type graph struct {
	root, driver string
	shifts       bool  // maps them when they are mounted
	free         int64 // bytes
}

func (s *Store) graph(ctx context.Context) (graph, error) {
	var info struct {
		Store struct {
			GraphRoot          string `json:"graphRoot"`
			GraphDriverName    string `json:"graphDriverName"`
			GraphRootAllocated int64  `json:"graphRootAllocated"`
			GraphRootUsed      int64  `json:"graphRootUsed"`
			// podman 4.3 does not say that it shifts, but what with.
			GraphOptions map[string]any    `json:"graphOptions"`
			GraphStatus  map[string]string `json:"graphStatus"`
		} `json:"store"`
	}
	if err := s.exchange(ctx, request{method: http.MethodGet, address: libpod + "/info"}, &info); err != nil {
		return graph{}, err
	}
	g := graph{root: info.Store.GraphRoot, driver: info.Store.GraphDriverName}
	_, program := info.Store.GraphOptions["overlay.mount_program"]
	g.shifts = program || info.Store.GraphStatus["Supports shifting"] == "true"
	var fs unix.Statfs_t
	if err := unix.Statfs(g.root, &fs); err != nil {
		return graph{}, fmt.Errorf("disk of %s: %w", g.root, err)
	}
	g.free = int64(fs.Bavail) * fs.Bsize
	// podman counts in what is root's alone, and sees mounts of its own namespace.
	if own := info.Store.GraphRootAllocated - info.Store.GraphRootUsed; info.Store.GraphRootAllocated > 0 {
		g.free = min(g.free, own)
	}
	return g, nil
}

// prepared tells whether layers of an image were mapped already, which only
// containers/storage's own file of images says.
func (g graph) prepared(id string) bool {
	type image struct {
		ID     string
		Mapped []string `json:"mapped-layers"`
	}
	var list []image
	data, err := os.ReadFile(filepath.Join(g.root, g.driver+"-images", "images.json"))
	if err != nil || json.Unmarshal(data, &list) != nil {
		return false
	}
	return slices.ContainsFunc(list, func(i image) bool { return i.ID == id && len(i.Mapped) > 0 })
}

// Import implements images.Store.
func (s *Store) Import(ctx context.Context, tar io.Reader, ref string, changes []string) (images.Image, error) {
	query := url.Values{"reference": {ref}, "changes": changes}
	resp, err := s.call(ctx, request{method: http.MethodPost, address: libpod + "/images/import", query: query, body: tar,
		header: http.Header{"Content-Type": {"application/x-tar"}}})
	if err != nil {
		return images.Image{}, fmt.Errorf("image %s: import: %w", ref, err)
	}
	defer resp.Body.Close()
	var made struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		return images.Image{}, fmt.Errorf("image %s: import: %w", ref, err)
	}
	return s.Inspect(ctx, made.ID)
}

// Prepare implements images.Store: creating a container with the user
// namespace of toolboxes is what makes podman map the layers, and they stay
// mapped until the image is removed.
func (s *Store) Prepare(ctx context.Context, id string) error {
	if os.Geteuid() == 0 {
		return nil // root's toolboxes have no user namespace
	}
	name := "tbx-prepare-" + id[:12]
	if err := s.removeContainer(ctx, name); err != nil { // of one that was killed
		return err
	}
	type namespace struct {
		Mode string `json:"nsmode"`
	}
	spec := struct {
		Image   string    `json:"image"`
		Name    string    `json:"name"`
		UserNS  namespace `json:"userns"`
		Command []string  `json:"command"`
	}{id, name, namespace{"keep-id"}, []string{"true"}} // never started
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	create := request{method: http.MethodPost, address: libpod + "/containers/create", body: bytes.NewReader(body),
		header: http.Header{"Content-Type": {"application/json"}}}
	if err := s.exchange(ctx, create, nil); err != nil {
		return err
	}
	return s.removeContainer(ctx, name)
}

// removeContainer removes a container that may not be there.
func (s *Store) removeContainer(ctx context.Context, name string) error {
	err := s.exchange(ctx, request{method: http.MethodDelete, address: libpod + "/containers/" + url.PathEscape(name),
		query: url.Values{"force": {"true"}, "ignore": {"true"}}}, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

package provision

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/savefile"
	"github.com/tbx-project/tbx/toolbox/savefile/stream"
)

// SaveOptions is a user's request for a file with a toolbox.
type SaveOptions struct {
	toolbox.SaveOptions
	WithImage bool // the file holds the image too
}

// Save writes a toolbox to a file, see toolbox.Manager.Save.
func (p *Provisioner) Save(ctx context.Context, name toolbox.Name, o SaveOptions, out io.Writer) (*savefile.Manifest, error) {
	from, err := p.Toolboxes.CloneSource(ctx, name, o.Snapshot)
	if err != nil {
		return nil, err
	}
	store, err := p.Store(ctx)
	if err != nil {
		return nil, err
	}
	img, err := store.Inspect(ctx, from.ID)
	if err != nil {
		return nil, fail.Wrap(nil, err, "toolbox %s cannot be saved: its image is gone", name)
	}
	saved := toolbox.SavedImage{Digests: slices.DeleteFunc(slices.Clone(img.Digests), func(d string) bool {
		ref, err := images.ParseRef(d)
		return err != nil || ref.Local() // it was made here
	})}
	if o.WithImage {
		archives, err := p.Archives(ctx)
		if err != nil {
			return nil, err
		}
		saved.Write = func(ctx context.Context, archive io.Writer) error { return archives.Save(ctx, img.ID, archive) }
	} else if len(saved.Digests) == 0 {
		p.Warn("image "+escape.Text(from.Reference)+" is in no known registry: the file can only be loaded on machines that have the image",
			"to put it into the file: --with-image")
	}
	var w *stream.Writer
	made, err := p.Toolboxes.Save(ctx, name, o.SaveOptions, saved, func(m *savefile.Manifest) (_ savefile.Writer, err error) {
		w, err = stream.NewWriter(out, m)
		return w, err
	})
	if err == nil {
		err = w.Close()
	}
	return made, err
}

// LoadOptions is a user's request to make a toolbox from a file.
type LoadOptions struct {
	toolbox.LoadOptions
	Fetch
	CheckOnly bool // check the file and make nothing
	// Agree gets the toolbox and its rights on the host before it is made. An error stops
	// that.
	Agree func(*toolbox.Saved) error
}

// Load makes a toolbox from a file, see toolbox.Manager.Load, and gets its image if it is
// neither here nor in the file.
func (p *Provisioner) Load(ctx context.Context, in io.Reader, o LoadOptions) (toolbox.Name, error) {
	file, err := stream.NewReader(in)
	if err != nil {
		return "", err
	}
	defer file.Close()
	s, err := p.Toolboxes.Saved(file, &file.Manifest, o.LoadOptions)
	if err != nil {
		return "", err
	}
	if o.CheckOnly {
		if err = file.Skip(s.Parts...); err == nil {
			err = file.End()
		}
		if err == nil {
			err = o.Agree(s)
		}
		return s.Draft.Name, err
	}
	if err := p.Toolboxes.CheckFree(ctx, s.Draft.Name); err != nil {
		return "", err
	}
	if err := o.Agree(s); err != nil {
		return "", err
	}
	img, err := p.imageOf(ctx, s, file, o.Fetch)
	if err != nil {
		return "", err
	}
	return s.Draft.Name, p.Toolboxes.Load(ctx, s, img)
}

// imageOf gets the image of a file: exactly the one with its ID.
func (p *Provisioner) imageOf(ctx context.Context, s *toolbox.Saved, file *stream.Reader, f Fetch) (toolbox.Image, error) {
	store, err := p.Store(ctx)
	if err != nil {
		return toolbox.Image{}, err
	}
	id := s.Image.ID
	img, err := store.Inspect(ctx, id)
	switch {
	case err == nil && img.ID == id:
		if s.Has(savefile.PartImage) {
			err = file.Skip(savefile.PartImage)
		}
	case err == nil || errors.Is(err, fail.NotFound):
		if s.Has(savefile.PartImage) {
			img, err = p.loadImage(ctx, store, s, file.Part(savefile.PartImage))
		} else {
			img, err = p.pullImage(ctx, s, f)
		}
	}
	if err == nil {
		err = checkArch(s.Image.Reference, img.Arch)
	}
	return toolbox.Image{Reference: s.Image.Reference, ID: img.ID, Env: img.Env}, err
}

// loadImage makes the image of the file's part.
func (p *Provisioner) loadImage(ctx context.Context, store images.Store, s *toolbox.Saved, part io.Reader) (images.Image, error) {
	if p.Trust != nil {
		return images.Image{}, fail.New(fail.Unable, "image %s: signatures are required, and the image in the file has none",
			escape.Text(s.Image.Reference)).
			Hint("get the image first: tbx image pull %s", escape.Text(s.Image.Reference))
	}
	archives, err := p.Archives(ctx)
	if err != nil {
		return images.Image{}, err
	}
	p.Progress(images.Event{Stage: images.StageUnpack})
	if err = archives.Load(ctx, part); err == nil {
		_, err = io.Copy(io.Discard, part) // what is behind the archive's end
	}
	if err != nil {
		return images.Image{}, err
	}
	img, err := store.Inspect(ctx, s.Image.ID)
	if errors.Is(err, fail.NotFound) || err == nil && img.ID != s.Image.ID {
		return img, fail.New(fail.Usage, "the image in the file is not that of the toolbox")
	}
	return img, err
}

// pullImage gets it from its registry, by its digest.
func (p *Provisioner) pullImage(ctx context.Context, s *toolbox.Saved, f Fetch) (images.Image, error) {
	var why error
	for _, digest := range s.Image.Digests {
		ref, err := images.ParseRef(digest)
		if err != nil {
			return images.Image{}, err
		}
		img, err := p.Ensure(ctx, images.Choice{Reference: ref.String()}, f)
		switch {
		case errors.Is(err, fail.NeedAnswer) || errors.Is(err, fail.Canceled):
			return img, err
		case err == nil && img.ID == s.Image.ID:
			return img, nil
		case err == nil:
			err = fail.New(nil, "image %s here is not that of the toolbox", escape.Text(digest))
		}
		why = errors.Join(why, err)
	}
	return images.Image{}, fail.Wrap(fail.NotFound, why, "image %s, which the toolbox was made from, is neither here nor in the file",
		escape.Text(s.Image.Reference)).
		Hint("save the toolbox with its image, where it is: tbx save --with-image %s FILE", escape.Text(s.Toolbox))
}

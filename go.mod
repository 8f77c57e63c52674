module github.com/tbx-project/tbx

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/containers/image/v5 v5.29.3
	github.com/containers/podman/v4 v4.9.5
	golang.org/x/sys v0.49.0
)

require (
	github.com/blang/semver/v4 v4.0.0 // indirect
	github.com/containers/common v0.57.5 // indirect
	github.com/containers/storage v1.51.0 // indirect
	github.com/cyphar/filepath-securejoin v0.2.4 // indirect
	github.com/docker/go-units v0.5.0 // indirect
	github.com/fsnotify/fsnotify v1.7.0 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
	github.com/kr/fs v0.1.0 // indirect
	github.com/moby/sys/mountinfo v0.7.1 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/runc v1.1.10 // indirect
	github.com/opencontainers/runtime-spec v1.1.1-0.20230922153023-c0e90434df2a // indirect
	github.com/opencontainers/selinux v1.11.0 // indirect
	github.com/pkg/sftp v1.13.6 // indirect
	github.com/sirupsen/logrus v1.9.3 // indirect
	github.com/syndtr/gocapability v0.0.0-20200815063812-42c35b437635 // indirect
	golang.org/x/crypto v0.19.0 // indirect
	golang.org/x/net v0.18.0 // indirect
	golang.org/x/term v0.17.0 // indirect
	tags.cncf.io/container-device-interface v0.6.2 // indirect
)

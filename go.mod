module github.com/tbx-project/tbx

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/containers/image/v5 v5.29.5
	golang.org/x/sys v0.49.0
)

require (
	github.com/containers/storage v1.59.1 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
)

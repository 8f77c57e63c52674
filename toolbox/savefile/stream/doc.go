// Package stream writes and reads a file that package savefile describes.
package stream

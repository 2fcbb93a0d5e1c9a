package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// refusal is an answer that asking again does not change.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// transfer appends to the part until it has the file's length.
func (f *Fetcher) transfer(ctx context.Context, url, part string, file File) (err error) {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return refuse("%v", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	done, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if done == file.Size {
		return nil // the checksum decides
	}
	if done > file.Size {
		if done, err = 0, restart(out); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := f.Stall
	if stall == 0 {
		stall = 30 * time.Second
	}
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing arrived for %v", stall)) })
	defer watch.Stop()
	body, err := f.request(ctx, url, out, &done, file.Size)
	if err == nil {
		defer body.Close()
		err = f.copy(out, body, done, file, func() { watch.Reset(stall) })
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		err = out.Sync()
	}
	return err
}

// request asks for what is missing from done on. A server that does not know how to begin in the
// middle sends all of it: then done becomes 0.
func (f *Fetcher) request(ctx context.Context, url string, out *os.File, done *int64, size int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, refuse("%v", err)
	}
	req.Header.Set("Accept-Encoding", "identity") // the bytes as published
	if *done > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", *done))
	}
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := accept(res, out, done, size); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res.Body, nil
}

// accept judges the head of an answer.
func accept(res *http.Response, out *os.File, done *int64, size int64) error {
	switch {
	case res.StatusCode == http.StatusPartialContent && *done > 0:
		first, _, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Content-Range"), "bytes "), "-")
		if at, err := strconv.ParseInt(first, 10, 64); err != nil || at != *done {
			return refuse("it answered with the range %q, asked for was %d onwards", res.Header.Get("Content-Range"), *done)
		}
	case res.StatusCode == http.StatusOK:
		if *done > 0 {
			if err := restart(out); err != nil {
				return err
			}
			*done = 0
		}
	case res.StatusCode == http.StatusRequestedRangeNotSatisfiable && *done > 0:
		if err := restart(out); err != nil {
			return err
		}
		return fmt.Errorf("it does not have byte %d of the file: %s", *done, res.Status)
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout:
		return errors.New(res.Status)
	default:
		return refuse("%s", res.Status)
	}
	if n := res.ContentLength; n >= 0 && *done+n != size {
		return refuse("it offers %d bytes, expected %d: it is not the published file", *done+n, size)
	}
	return nil
}

// restart empties the part.
func restart(out *os.File) error {
	if err := out.Truncate(0); err != nil {
		return err
	}
	_, err := out.Seek(0, io.SeekStart)
	return err
}

// copy writes what arrives; alive is called whenever something does.
func (f *Fetcher) copy(out io.Writer, body io.Reader, done int64, file File, alive func()) error {
	buffer := make([]byte, 1<<16)
	for {
		n, err := body.Read(buffer)
		alive()
		if done+int64(n) > file.Size {
			return refuse("it sends more than the expected %d bytes: it is not the published file", file.Size)
		}
		if _, err := out.Write(buffer[:n]); err != nil {
			return refuse("%v", err)
		}
		if done += int64(n); f.Progress != nil && n > 0 {
			f.Progress(file.Name, done, file.Size)
		}
		switch {
		case errors.Is(err, io.EOF) && done < file.Size:
			return fmt.Errorf("it broke off after %d of %d bytes", done, file.Size)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it broke off after %d of %d bytes: %w", done, file.Size, err)
		}
	}
}

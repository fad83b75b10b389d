package creatify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// exampleVideo makes a job with a video of a size, and the client that fetches it.
func exampleVideo(bytes int64) (*creatify.Client, *creatifytest.API, string) {
	client, fake := exampleClient(creatifytest.Config{Life: creatifytest.Life{Duration: 1, VideoSize: bytes}})
	job, err := client.Jobs.CreateVideo(context.Background(), exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	return client, fake, job.ID
}

// The video is streamed to any writer. Its host is another than the API's and gets no key.
func ExampleJobsService_Download() {
	client, fake, id := exampleVideo(100_000)
	var video bytes.Buffer
	n, err := client.Jobs.Download(context.Background(), id, &video)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes, of which there are", video.Len())
	fmt.Println("requests for it with the key:", fake.LeakedCredentials(), "of", fake.Calls(creatifytest.CallVideo))
	// Output:
	// 100000 bytes, of which there are 100000
	// requests for it with the key: 0 of 1
}

// The file is there when it is whole, and not before; nothing else is left in its folder.
func ExampleJobsService_DownloadFile() {
	client, _, id := exampleVideo(100_000)
	folder, err := os.MkdirTemp("", "videos")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if _, err := client.Jobs.DownloadFile(context.Background(), id, filepath.Join(folder, "spring.mp4")); err != nil {
		log.Fatal(err)
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Name(), info.Size(), "bytes")
	}
	// Output:
	// spring.mp4 100000 bytes
}

// The function gets what is written so far and the size of the whole, for a progress bar.
func ExampleWithProgress() {
	client, _, id := exampleVideo(100_000)
	bar := ""
	_, err := client.Jobs.Download(context.Background(), id, io.Discard,
		creatify.WithProgress(func(done, total int64) {
			bar = fmt.Sprintf("%d of %d bytes", done, total)
			if total > 0 { // else it is not known yet
				bar += fmt.Sprintf(" (%d %%)", 100*done/total)
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bar)
	// Output:
	// 100000 of 100000 bytes (100 %)
}

// A file that is larger than it should be is not taken, and no part of it is left behind.
func ExampleWithMaxSize() {
	client, _, id := exampleVideo(100_000)
	folder, err := os.MkdirTemp("", "videos")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "spring.mp4")
	_, err = client.Jobs.DownloadFile(context.Background(), id, path, creatify.WithMaxSize(64<<10))
	fmt.Println("too large:", errors.Is(err, creatify.ErrTooLarge))
	_, err = os.Stat(path)
	fmt.Println("no file:", errors.Is(err, fs.ErrNotExist))
	// Output:
	// too large: true
	// no file: true
}

// A connection that brings nothing is given up soon, and tried again within half a second, for which this context has no
// time.
func ExampleWithIdleTimeout() {
	client, fake, id := exampleVideo(100_000)
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := client.Jobs.Download(ctx, id, io.Discard, creatify.WithIdleTimeout(10*time.Millisecond))
	if failed, ok := errors.AsType[*creatify.DownloadError](err); ok {
		fmt.Println(failed.Err)
	}
	// Output:
	// no byte came for 10ms
}

// Videos come from public addresses and by https only, so that no URL in a reply leads into one's own network. A test with a
// server of its own allows more.
func ExampleWithPrivateAddresses() {
	ctx := context.Background()
	client, fake := exampleClient(creatifytest.Config{BaseURL: "http://127.0.0.1:8080", Life: creatifytest.Life{Duration: 1}})
	job, err := client.Jobs.CreateVideo(ctx, exampleParams)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.Download(ctx, job.ID, io.Discard)
	fmt.Println("refused:", errors.Is(err, creatify.ErrRefusedURL), "after", fake.Calls(creatifytest.CallVideo), "requests")

	_, err = client.Jobs.Download(ctx, job.ID, io.Discard, creatify.WithPrivateAddresses())
	fmt.Println("refused:", err != nil, "after", fake.Calls(creatifytest.CallVideo), "request")
	// Output:
	// refused: true after 0 requests
	// refused: false after 1 request
}

// The error tells a job without a video from a host that refuses it. Either way, nothing was charged.
func ExampleDownloadError() {
	client, fake, id := exampleVideo(100_000)
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallVideo, Status: http.StatusNotImplemented, Times: -1})
	_, err := client.Jobs.Download(context.Background(), id, io.Discard)
	if errors.Is(err, creatify.ErrNoOutput) {
		fmt.Println("there is no video yet: wait for it")
	} else if failed, ok := errors.AsType[*creatify.DownloadError](err); ok {
		fmt.Println(failed.Host, "answered", failed.StatusCode, "after", failed.Written, "bytes")
	}
	// Output:
	// video.creatify.test answered 501 after 0 bytes
}

package creatify_test

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/creatify-community/creatify-go"
)

// Each constructor makes a variable of one type. What this version of the library does not know is sent as JSON.
func ExampleVariables() {
	variables := creatify.Variables{
		"headline": creatify.Text("Spring sale"),
		"photo":    creatify.Image("https://example.com/photo.jpg"),
		"clip":     creatify.Video("https://example.com/clip.mp4"),
		"music":    creatify.Audio("https://example.com/music.mp3"),
		"host":     creatify.Avatar("3c90c3cc-0d44-4b50-8888-8dd25736052a"),
		"voice":    creatify.Voiceover(""),
		"new":      creatify.RawVariable(json.RawMessage(`{"type": "sticker", "properties": {"size": 3}}`)),
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		sent, err := json.Marshal(variables[name])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", name, sent)
	}
	// Output:
	// clip: {"type":"video","properties":{"url":"https://example.com/clip.mp4"}}
	// headline: {"type":"text","properties":{"content":"Spring sale"}}
	// host: {"type":"avatar","properties":{"avatar_id":"3c90c3cc-0d44-4b50-8888-8dd25736052a"}}
	// music: {"type":"audio","properties":{"url":"https://example.com/music.mp3"}}
	// new: {"type":"sticker","properties":{"size":3}}
	// photo: {"type":"image","properties":{"url":"https://example.com/photo.jpg"}}
	// voice: {"type":"voiceover","properties":{}}
}

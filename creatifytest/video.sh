#!/bin/sh
# Makes video.mp4, the clip that begins each video: 3 s, 180 by 320, without sound and metadata, a few KB. It needs
# ffmpeg 5 or later with libx264, and a font such as that of Debian's fonts-dejavu-core. Run: go generate ./creatifytest
set -eu
cd "$(dirname "$0")"
text="drawtext=fontfile=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf}:fontcolor=white:x=(w-text_w)/2"
ffmpeg -v error -y \
	-f lavfi -i "gradients=size=180x320:rate=8:duration=3:c0=0x1e1b4b:c1=0x0e7490:speed=0.02:seed=1" \
	-f lavfi -i "color=white:size=20x6:rate=8:duration=3" \
	-filter_complex "[0]$text:fontsize=30:text=sample:y=110,$text:fontsize=14:text=not a real video:y=150[a];[a][1]overlay=x=20+t*40:y=200" \
	-c:v libx264 -profile:v baseline -pix_fmt yuv420p -preset veryslow -crf 36 -g 24 -threads 1 \
	-bsf:v filter_units=remove_types=6 -movflags +faststart -fflags +bitexact -flags:v +bitexact -map_metadata -1 \
	video.mp4

"""What it cost: `pointsman costs`."""

"""What happens to a frame between the scene and the machine: compression, blur, noise, darkness, loss."""
